import { after } from 'node:test';

/** Fails the test file if a promise is rejected and nothing handles the rejection. */
export function watchUnhandledRejections(): void {
  const unhandled: unknown[] = [];
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
  after(() => {
    if (unhandled.length > 0) throw new Error(`unhandled rejections: ${unhandled.join('; ')}`);
  });
}
