// `npm run history -- --scenario demo --hours 6 --step 15 --output DIR`: hours of a simulated host as
// OpenMetrics with timestamps and, with promtool, as blocks of Prometheus' TSDB. Arguments: --sample 5 --tick
// 1 --seed 1 --start EPOCH --trace-sets exits. See docs/simulated-host.md.
import { become, ready, root } from './prepare.mjs';

// Collections create much short-lived garbage. With the default size of the young generation, collecting it
// takes a tenth of the time.
const YOUNG = '--max-semi-space-size=64';

ready();
become([YOUNG, `${root}dist/lab/history/main.js`, ...process.argv.slice(2)]);
