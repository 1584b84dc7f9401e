// `npm run build`: compiles the sources without checking the lock file.
import { build } from './prepare.mjs';

build();
