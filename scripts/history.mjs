// `npm run history -- --scenario demo --hours 6 --step 15 --output DIR`: hours of a simulated host as OpenMetrics with time
// stamps and, with promtool, as blocks of Prometheus' TSDB. Arguments: --sample 5 --tick 1 --seed 1 --start EPOCH --trace-sets exits.
// docs/simulated-host.md.
import { become, ready, root } from './prepare.mjs';

// Each collection makes much that is garbage soon: a tenth of the time where the new space is as small as by default.
const YOUNG = '--max-semi-space-size=64';

ready();
become([YOUNG, `${root}dist/scripts/history.js`, ...process.argv.slice(2)]);
