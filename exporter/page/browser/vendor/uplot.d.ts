// The browser asks for ./vendor/uplot.js, and the daemon answers with uPlot's own module: exporter/page/assets.ts.
import uPlot from 'uplot';

export default uPlot;
