import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder, removed when the test or, with node:test's own `after`, the file ends. */
export function temporaryFolder(context: { after(work: () => void): void }, parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'kvm-telemetry-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
