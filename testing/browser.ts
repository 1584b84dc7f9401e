import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { PATIENCE_MS } from './patience.ts';
import { hasTool, which } from './tools.ts';

export interface OpenedPage {
  readonly page: Page;
  /** Console errors and warnings, and uncaught exceptions. */
  readonly complaints: string[];
  /** Requests to other servers than the daemon. */
  readonly foreign: string[];
}

/**
 * Debian's Chromium, stopped when the test ends. Returns undefined and skips the test if Chromium is not
 * installed.
 */
export async function startBrowser(context: TestContext): Promise<Browser | undefined> {
  if (!hasTool(context, 'chromium', 'chromium')) return undefined;
  const browser = await chromium.launch({
    executablePath: which('chromium') ?? '',
    // The sandbox does not work here: the tests run as root, in containers.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  context.after(() => browser.close());
  return browser;
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenedPage> {
  const session = await browser.newContext(options);
  session.setDefaultTimeout(PATIENCE_MS);
  const page = await session.newPage();
  const complaints: string[] = [];
  const foreign: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const { origin } = new URL(url);
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (asked.origin !== origin && asked.protocol !== 'data:') foreign.push(request.url());
  });
  await page.goto(url);
  return { page, complaints, foreign };
}
