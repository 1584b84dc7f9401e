// The browser asks for ./vendor/uplot.js, and the server answers with uPlot's own module: server.ts.
import uPlot from 'uplot';

export default uPlot;
