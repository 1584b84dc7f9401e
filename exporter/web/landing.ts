/** The page at `/`: what this is and where the metrics are. */
export function landingPage(version: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>kvm-telemetry</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem; color-scheme: light dark }</style>
<h1>kvm-telemetry</h1>
<p>Telemetry of this KVM host, version ${version}.</p>
<ul>
<li><a href="/metrics">Metrics</a> for Prometheus
<li><a href="/api/v1/inventory">Inventory</a>: VMs, threads and their roles, block devices
<li><a href="/-/healthy">Health</a> and <a href="/-/ready">readiness</a>
</ul>
</html>
`;
}
