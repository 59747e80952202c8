/**
 * A visitor of the web page in Debian's Chromium. What the browser complains about is kept: errors in its console (among them violations
 * of the content security policy), exceptions, and requests to another origin. The only file that imports playwright-core.
 */
import { createRequire } from 'node:module';
import path from 'node:path';

import { type Browser, type BrowserContext, type Page, chromium } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
/** Other work may share the cores: a bound for a hang. */
const BOUND_MS = 120_000;
const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
/** Of axe-core: what keeps people from using the page. */
const GRAVE = new Set(['serious', 'critical']);

export interface VisitorOptions {
  /** The address that `npm start` prints, with its token. */
  readonly address: string;
  readonly scheme?: 'light' | 'dark';
  readonly isPhone?: boolean;
}

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** Of all visitors of this process: a start takes seconds. It ends when the process does, because it loses its pipe. */
let browser: Promise<Browser> | undefined;

export class PageVisitor implements AsyncDisposable {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;
  readonly #origin: string;

  private constructor(context: BrowserContext, page: Page, origin: string) {
    this.#context = context;
    this.page = page;
    this.#origin = origin;
  }

  /** Signs in with the token. */
  static async open({ address, scheme = 'light', isPhone = false }: VisitorOptions): Promise<PageVisitor> {
    browser ??= chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    const running = await browser;
    const context = await running.newContext({
      viewport: isPhone ? PHONE : DESK,
      hasTouch: isPhone,
      colorScheme: scheme,
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      reducedMotion: 'reduce',
    });
    context.setDefaultTimeout(BOUND_MS);
    await context.addInitScript({ path: AXE });
    const visitor = new PageVisitor(context, await context.newPage(), new URL(address).origin);
    visitor.#listen(context);
    await visitor.page.goto(address);
    await visitor.page.locator('h1').waitFor();
    return visitor;
  }

  async goto(pathname: string): Promise<void> {
    await this.page.goto(`${this.#origin}${pathname}`);
    await this.page.locator('h1').waitFor();
  }

  /** What axe finds serious, as text: the rule, and the elements. */
  async graveFindings(): Promise<string[]> {
    const { violations } = await this.page.evaluate<AxeResults>(
      'axe.run(document, { resultTypes: ["violations"] })',
    );
    return violations
      .filter(({ impact }) => GRAVE.has(impact))
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`,
      );
  }

  /** Throws if the browser has complained. */
  requireNoComplaints(): void {
    if (this.complaints.length > 0) throw new Error(`the browser complained: ${this.complaints.join('\n')}`);
  }

  /** By how many pixels the page is wider than the window. */
  async overflow(): Promise<number> {
    return this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  }

  /** For a person to look at: kept only if `FRAMEFLEET_PAGE_PICTURES` names a folder. */
  async picture(name: string): Promise<void> {
    const folder = process.env['FRAMEFLEET_PAGE_PICTURES'];
    if (folder === undefined) return;
    await this.page.screenshot({ path: path.join(folder, `${name}.jpg`), type: 'jpeg', quality: 82 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }

  #listen(context: BrowserContext): void {
    context.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== this.#origin && protocol !== 'blob:' && protocol !== 'data:')
        this.complaints.push(`request to ${request.url()}`);
    });
    context.on('weberror', (error) => this.complaints.push(`exception: ${String(error.error())}`));
    context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning')
        this.complaints.push(`console: ${message.text()} (${message.location().url})`);
    });
  }
}
