import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { hasTool, which } from './tools.ts';

export interface OpenedPage {
  readonly page: Page;
  /** Errors and warnings of the console, and exceptions that nobody caught. */
  readonly complaints: string[];
  /** Requests to anywhere but the daemon. */
  readonly foreign: string[];
}

/** Debian's Chromium, ended with the test; undefined where it is not installed, and the test is skipped. */
export async function startBrowser(context: TestContext): Promise<Browser | undefined> {
  if (!hasTool(context, 'chromium', 'chromium')) return undefined;
  const browser = await chromium.launch({
    executablePath: which('chromium') ?? '',
    // Tests run as root, in containers.
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
