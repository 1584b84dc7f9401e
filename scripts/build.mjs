// `npm run build`: installs the packages of a changed package-lock.json, and compiles the sources.
import { build, install } from './prepare.mjs';

install();
build();
