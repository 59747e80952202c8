/**
 * A fake Azure Resource Manager for scale sets. It implements the real protocol for the real SDK: long-running operations,
 * conditional changes, pages, throttling and quotas; see `routes.ts`. It records every request. A test can make calls fail, hang,
 * or return garbage.
 */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import type { Clock } from '../../../shared/runtime/clock.ts';
import { type Answer, failure } from './answers.ts';
import { FakeRegion } from './fake-region.ts';
import { Faults } from './faults.ts';
import { type ArmRequest, ENDPOINT, answerOf } from './routes.ts';

export interface RecordedRequest {
  readonly method: string;
  /** The path with its query. */
  readonly path: string;
  readonly body: string;
  readonly atMs: number;
}

export class FakeArm implements AsyncDisposable {
  readonly region: FakeRegion;
  readonly faults = new Faults();
  /** In order of arrival. */
  readonly requests: RecordedRequest[] = [];
  readonly #server = createServer((request, response) => {
    void this.#serve(request, response);
  });

  constructor({ clock, seed = 1 }: { readonly clock: Clock; readonly seed?: number }) {
    this.region = new FakeRegion({ clock, seed });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  /** Requests with a method other than GET. */
  writes(): RecordedRequest[] {
    return this.requests.filter(({ method }) => method !== 'GET');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = request;
    const body = await text(request);
    this.requests.push({ method, path, body, atMs: this.region.nowMs });
    this.region.advance();
    const answer = (): Answer =>
      this.#answer({ method, url: new URL(path, ENDPOINT), body, ifMatch: headers['if-match'] }, headers);
    const effect = this.faults.take(method, path);
    switch (effect) {
      case null:
        end(response, answer());
        return;
      case 'lose-answer':
        answer();
        request.socket.resetAndDestroy();
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'hang':
        return;
      case 'garbage':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please sign in</html>');
        return;
    }
    end(response, effect);
  }

  #answer(request: ArmRequest, { authorization }: { readonly authorization?: string | undefined }): Answer {
    if (!/^Bearer .+/.test(authorization ?? ''))
      return failure(401, 'AuthenticationFailed', "The 'Authorization' header is missing.");
    if (!request.url.searchParams.has('api-version'))
      return failure(400, 'MissingApiVersionParameter', 'The api-version query parameter is required.');
    return answerOf(this.region, request);
  }
}

function end(response: ServerResponse, { status, headers, body }: Answer): void {
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(body === undefined ? '' : JSON.stringify(body));
}
