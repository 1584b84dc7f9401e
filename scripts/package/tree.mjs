// The files of a package outside /usr/lib/kvm-telemetry.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../prepare.mjs';
import { compressed, copy } from './files.mjs';

/** Directories of the distributions. */
export const LAYOUTS = {
  deb: { units: 'lib/systemd/system', environment: 'etc/default', zsh: 'usr/share/zsh/vendor-completions' },
  rpm: { units: 'usr/lib/systemd/system', environment: 'etc/sysconfig', zsh: 'usr/share/zsh/site-functions' },
};

/** Everything outside /usr/lib. */
export function files(stage, { layout, config }) {
  const share = join(stage, 'usr/share');
  copy('deploy/debian/kvm-telemetry', join(stage, 'usr/bin/kvm-telemetry'));
  const settings = join(stage, 'etc/kvm-telemetry/kvm-telemetry.yaml');
  mkdirSync(dirname(settings), { recursive: true });
  cpSync(config, settings);
  copy('deploy/debian/default', join(stage, layout.environment, 'kvm-telemetry'));
  mkdirSync(join(stage, 'var/lib/kvm-telemetry'), { recursive: true });
  const unit = join(stage, layout.units, 'kvm-telemetry.service');
  mkdirSync(dirname(unit), { recursive: true });
  const text = readFileSync(`${root}deploy/systemd/kvm-telemetry.service`, 'utf8');
  writeFileSync(
    unit,
    text
      .replace('/usr/local/bin/kvm-telemetry', '/usr/bin/kvm-telemetry')
      .replace('/etc/default/kvm-telemetry', `/${layout.environment}/kvm-telemetry`),
  );
  copy('deploy/systemd/kvm-telemetry.socket', join(dirname(unit), 'kvm-telemetry.socket'));
  copy('deploy/systemd/hardened.conf', join(share, 'kvm-telemetry/systemd/hardened.conf'));
  compressed(join(share, 'man/man1/kvm-telemetry.1'), readFileSync(`${root}deploy/man/kvm-telemetry.1`));
  copy('deploy/completion/kvm-telemetry.bash', join(share, 'bash-completion/completions/kvm-telemetry'));
  copy('deploy/completion/_kvm-telemetry', join(stage, layout.zsh, '_kvm-telemetry'));
  copy('deploy/completion/kvm-telemetry.fish', join(share, 'fish/vendor_completions.d/kvm-telemetry.fish'));
  cpSync(`${root}alerts/generated`, join(share, 'kvm-telemetry/rules'), { recursive: true });
  cpSync(`${root}alerts/runbooks`, join(share, 'kvm-telemetry/runbooks'), { recursive: true });
  cpSync(`${root}dashboards/generated`, join(share, 'kvm-telemetry/dashboards'), { recursive: true });
  copy('deploy/debian/copyright', join(share, 'doc/kvm-telemetry/copyright'));
}
