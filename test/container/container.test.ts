import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { bareDebian } from '../../testing/bare-debian.ts';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { until } from '../../testing/patience.ts';
import { has, hasTool, which } from '../../testing/tools.ts';

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
const CAPABILITIES = ['sys_ptrace', 'dac_read_search', 'bpf', 'perfmon'];
const IMAGE = 'localhost/kvm-telemetry';

interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

function execute(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stderr.slice(-2000)}`);
  return stdout.trim();
}

/** buildah with a storage of its own. */
function buildah(context: TestContext): { args: string[]; run(...args: string[]): string } {
  const folder = temporaryFolder({ after: () => undefined });
  const storage = ['--storage-driver', 'overlay', '--root', `${folder}/root`, '--runroot', `${folder}/run`];
  context.after(() => {
    spawnSync('buildah', [...storage, 'rm', '--all']);
    spawnSync('umount', ['--recursive', '--lazy', `${folder}/root/overlay`]);
    execute('rm', '-rf', folder);
  });
  return { args: storage, run: (...args) => execute('buildah', ...storage, ...args) };
}

/** Images in place of the Dockerfile's bases: Debian by debootstrap, and the same with this Node.js and its npm. */
function makeBases(context: TestContext, run: (...args: string[]) => string): void {
  const base = run('from', 'scratch');
  const debian = bareDebian(context);
  for (const mount of ['proc', 'sys'])
    execute('umount', '--recursive', '--lazy', `${debian.folder}/${mount}`);
  run('add', '--quiet', base, debian.folder, '/');
  run('commit', '--quiet', base, 'localhost/debian');
  const node = run('from', 'localhost/debian');
  const npm = dirname(dirname(realpathSync(which('npm') ?? '')));
  run('copy', '--quiet', node, process.execPath, '/usr/local/bin/node');
  run('copy', '--quiet', node, npm, '/usr/local/lib/node_modules/npm');
  const link = ['ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', '/usr/local/bin/npm'];
  run('run', '--isolation', 'chroot', node, '--', ...link);
  if (existsSync(CERTIFICATES)) {
    run('copy', '--quiet', node, CERTIFICATES, CERTIFICATES);
    run('config', '--env', `NODE_EXTRA_CA_CERTS=${CERTIFICATES}`, node);
  }
  run('commit', '--quiet', node, 'localhost/node');
}

test('the image is built, runs, and is scraped', { timeout: 600_000 }, async (context) => {
  if (!hasTool(context, 'buildah', 'buildah') || !hasTool(context, 'debootstrap', 'debootstrap')) return;
  if (!has(context, process.getuid?.() === 0, 'chroot needs root')) return;
  const { args: storage, run } = buildah(context);
  makeBases(context, run);
  const revision = 'a'.repeat(40);
  const bases = ['NODE_IMAGE=localhost/node', 'BASE_IMAGE=localhost/debian', `REVISION=${revision}`];
  const build = ['build', '--isolation', 'chroot', '--format', 'docker', '--tag', IMAGE];
  run(...build, ...bases.flatMap((value) => ['--build-arg', value]), ROOT);

  const inspected = JSON.parse(run('inspect', '--type', 'image', IMAGE)) as {
    Docker: { config: ImageConfig };
  };
  const { Entrypoint, Labels, Healthcheck } = inspected.Docker.config;
  assert.equal(Labels['org.opencontainers.image.revision'], revision);
  assert.equal(Labels['org.opencontainers.image.licenses'], 'Apache-2.0');
  const container = run('from', IMAGE);
  const root = run('mount', container);
  assert.ok(!existsSync(`${root}/usr/local/bin/npm`), 'nothing of the build');

  await context.test('with the isolation of buildah', async (part) => {
    const drop = ['--cap-drop', 'all', ...CAPABILITIES.flatMap((name) => ['--cap-add', name])];
    const options = ['--isolation', 'chroot', ...drop, '--volume', '/:/host:ro,rslave', container, '--'];
    const serve = ['serve', '--path.rootfs=/host', '--web.listen-address=127.0.0.1:0'];
    const child = spawn('buildah', [...storage, 'run', ...options, ...Entrypoint, ...serve], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    part.after(() => child.kill('SIGTERM'));
    for await (const line of createInterface(child.stdout)) {
      const { msg, port } = JSON.parse(line) as { msg: string; port?: number };
      if (msg !== 'listening') continue;
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      assert.match(
        metrics,
        new RegExp(`^kvm_telemetry_build_info{.*revision="${revision}".*simulated="false"`, 'm'),
      );
      assert.match(
        metrics,
        /^kvm_telemetry_collector_success\{collector="bpf"\} 1/m,
        'libbpf is in the image',
      );
      assert.match(metrics, /^kvm_telemetry_collector_success\{collector="vms"\} 1/m);
      break;
    }
  });

  await context.test('with a read-only root and the arguments of the DaemonSet', async (part) => {
    const manifests = parseAllDocuments(readFileSync(`${ROOT}deploy/kubernetes/manifests.yaml`, 'utf8'));
    const [pod] = manifests
      .map(
        (document) =>
          document.toJS() as {
            kind: string;
            spec: { template: { spec: { containers: [{ args: string[] }] } } };
          },
      )
      .filter(({ kind }) => kind === 'DaemonSet');
    const serve = pod?.spec.template.spec.containers[0].args ?? [];
    mkdirSync(`${root}/host`, { recursive: true });
    const set = ['-all', ...CAPABILITIES.map((name) => `+${name}`)].join();
    // A network of its own, in which the port of the manifest is free.
    const script = `ip link set lo up && mount --bind "$0" "$0" && mount --rbind / "$0/host" &&
      mount --rbind /proc "$0/proc" && mount -o remount,bind,ro "$0" &&
      exec chroot "$0" setpriv --bounding-set=${set} --inh-caps=-all "$@"`;
    const child = spawn('unshare', ['--mount', '--net', 'sh', '-c', script, root, ...Entrypoint, ...serve], {
      stdio: 'ignore',
    });
    part.after(() => child.kill('SIGKILL'));
    const inside = (command: readonly string[]): string => {
      const enter = ['--target', String(child.pid), '--net', '--mount', 'chroot', root, ...command];
      const { status, stdout } = spawnSync('nsenter', enter, { encoding: 'utf8' });
      return status === 0 ? `healthy ${stdout}` : '';
    };
    await until(() => inside(Healthcheck.Test.slice(1)) !== '', 'the health check succeeds');
    const scrape = "fetch('http://127.0.0.1:9954/metrics').then((r) => r.text()).then((t) => console.log(t))";
    assert.match(inside(['node', '-e', scrape]), /^kvm_telemetry_collector_success\{collector="vms"\} 1/m);
    assert.equal(inside(['touch', '/app/x']), '', 'nothing can be written');
    assert.equal(child.exitCode, null);
  });
});
