/** Talks to a running page as a browser does: with a session, and from its own site. */
import { eventually } from './eventually.ts';

const OWN_SITE = { 'sec-fetch-site': 'same-origin' };

export class PageClient {
  readonly #origin: string;
  readonly #cookie: string;

  private constructor(origin: string, cookie: string) {
    this.#origin = origin;
    this.#cookie = cookie;
  }

  /** `address` as `npm start` prints it: with the token after `#token=`. */
  static async signIn(address: string): Promise<PageClient> {
    const { origin, hash } = new URL(address);
    const response = await fetch(`${origin}/api/session`, {
      method: 'POST',
      headers: { ...OWN_SITE, 'content-type': 'application/json' },
      body: JSON.stringify({ token: hash.slice('#token='.length) }),
    });
    if (response.status !== 204) throw new Error(`expected a session, received status ${response.status}`);
    return new PageClient(origin, response.headers.getSetCookie()[0]?.split(';')[0] ?? '');
  }

  request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const isBytes = body instanceof Uint8Array;
    return fetch(`${this.#origin}${path}`, {
      method,
      headers: {
        ...OWN_SITE,
        cookie: this.#cookie,
        ...(body === undefined
          ? {}
          : { 'content-type': isBytes ? 'application/octet-stream' : 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isBytes ? Buffer.from(body) : JSON.stringify(body) }),
    });
  }

  /** Fails unless the answer is good. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.request(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  async errorOf(method: string, path: string, body?: unknown): Promise<readonly [number, string]> {
    const response = await this.request(method, path, body);
    const { error } = (await response.json()) as { error: { code: string } };
    return [response.status, error.code];
  }

  /** Listens to events until disposed. */
  async listen(query = ''): Promise<PageEvents> {
    const stop = new AbortController();
    const response = await fetch(`${this.#origin}/api/events${query}`, {
      headers: { ...OWN_SITE, cookie: this.#cookie },
      signal: stop.signal,
    });
    const type = response.headers.get('content-type');
    if (type !== 'text/event-stream') throw new Error(`expected events, received ${type}`);
    return new PageEvents(response, stop);
  }
}

export class PageEvents implements Disposable {
  readonly #stop: AbortController;
  #text = '';

  constructor(response: Response, stop: AbortController) {
    this.#stop = stop;
    void this.#read(response).catch(() => undefined);
  }

  /** What was sent under this name, in order. */
  of<T>(name: string): T[] {
    return this.#text
      .split('\n\n')
      .filter((event) => event.startsWith(`event: ${name}\n`))
      .map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)) as T);
  }

  /** The first content of this name that fits. */
  until<T>(name: string, isFound: (content: T) => boolean): Promise<T> {
    return eventually(`an event ${name}`, () => this.of<T>(name).find(isFound));
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) this.#text += decoder.decode(chunk, { stream: true });
  }
}
