// `npm run build`: compiles what is installed, without a look at the lock file.
import { build } from './prepare.mjs';

build();
