/** What the page's server refuses, and the headers with which it answers. */
import { describe, expect, test } from 'vitest';

import { OWN_HEADERS, PAGE_TOKEN, openTestPage } from '../../support/test-page.ts';

const codeOf = (answer: { json(): unknown }): string =>
  (answer.json() as { error: { code: string } }).error.code;

describe('sign-in', () => {
  test('the token gives a cookie that no script and no other site can use, for twelve hours', async () => {
    const { http, clock, signIn } = await openTestPage();
    const answer = await http.inject({
      method: 'POST',
      url: '/api/session',
      headers: OWN_HEADERS,
      payload: { token: PAGE_TOKEN },
    });
    expect(answer.statusCode).toBe(204);
    expect(answer.headers['set-cookie']).toMatch(
      /^framefleet=.*; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const headers = await signIn();
    expect((await http.inject({ url: '/api/me', headers })).json()).toMatchObject({ name: null });
    clock.advance(12 * 3_600_000);
    const late = await http.inject({ url: '/api/me', headers });
    expect([late.statusCode, codeOf(late)]).toEqual([401, 'SIGN_IN_REQUIRED']);
  });

  test('signing out removes the cookie', async () => {
    const { http, signIn } = await openTestPage();
    const answer = await http.inject({ method: 'DELETE', url: '/api/session', headers: await signIn() });
    expect(answer.headers['set-cookie']).toMatch(/^framefleet=; /);
  });

  test.each([
    ['no cookie', {}],
    ['a cookie that is not signed', { cookie: `framefleet=${Date.UTC(2100, 0)}` }],
    ['a cookie with another signature', { cookie: `framefleet=${Date.UTC(2100, 0)}.c2lnbmVk` }],
    ['the header of Container Apps', { 'x-ms-client-principal-name': 'ada@example.org' }],
    ['the token as bearer', { authorization: `Bearer ${PAGE_TOKEN}` }],
  ])('%s is no session', async (_, headers) => {
    const { http } = await openTestPage();
    for (const url of ['/api/me', '/api/jobs', '/api/events', '/api/jobs/20261123-061502-harbour-9f3a1c']) {
      const answer = await http.inject({ url, headers: { ...OWN_HEADERS, ...headers } });
      expect([answer.statusCode, codeOf(answer)]).toEqual([401, 'SIGN_IN_REQUIRED']);
    }
  });

  test.each([
    '/%61pi/me',
    '/ap%69/jobs',
    '/api%2Fme',
    '//api/me',
    '/api/../api/me',
    '/API/me',
    '/x/../api/jobs',
    '//',
  ])('however the path is written, nothing is answered without a session: %s', async (url) => {
    const { http } = await openTestPage();
    const { statusCode, headers } = await http.inject({ url, headers: OWN_HEADERS });
    const isPageItself = statusCode === 200 && headers['content-type']?.startsWith('text/html') === true;
    expect(isPageItself || [401, 404].includes(statusCode)).toBe(true);
  });

  test('a wrong token is refused, and too many of them', async () => {
    const { http } = await openTestPage();
    const attempt = () =>
      http.inject({
        method: 'POST',
        url: '/api/session',
        headers: OWN_HEADERS,
        payload: { token: 'wrong-horse' },
      });
    const first = await attempt();
    expect([first.statusCode, codeOf(first), first.headers['set-cookie']]).toEqual([
      401,
      'TOKEN_REFUSED',
      undefined,
    ]);
    for (let tries = 1; tries < 30; tries += 1) await attempt();
    const last = await attempt();
    expect([last.statusCode, codeOf(last)]).toEqual([429, 'TOO_MANY_REQUESTS']);
  });

  test('behind Container Apps, the person is the one that the platform names', async () => {
    const { http } = await openTestPage({ signIn: { mode: 'entra' }, hosts: ['page.example.org'] });
    const headers = { host: 'page.example.org', 'x-ms-client-principal-name': 'ada@example.org' };
    expect((await http.inject({ url: '/api/me', headers })).json()).toMatchObject({
      name: 'ada@example.org',
    });
    const nobody = await http.inject({ url: '/api/me', headers: { host: 'page.example.org' } });
    expect(nobody.statusCode).toBe(401);
  });
});

describe('other sites', () => {
  test.each([
    ['GET', { 'sec-fetch-site': 'cross-site' }],
    ['GET', { 'sec-fetch-site': 'same-site' }],
    ['POST', { 'sec-fetch-site': 'cross-site' }],
    ['POST', { 'sec-fetch-site': 'none' }],
    ['POST', { origin: 'http://evil.example' }],
    ['POST', { origin: 'null' }],
    ['POST', {}],
  ] as const)('%s with %j is refused', async (method, more) => {
    const { http, signIn } = await openTestPage();
    const sent: Record<string, string> = { ...(await signIn()) };
    delete sent['sec-fetch-site'];
    Object.assign(sent, more);
    const url = method === 'GET' ? '/api/me' : '/api/jobs/20261123-061502-harbour-9f3a1c/pause';
    const answer = await http.inject({ method, url, headers: sent });
    expect([answer.statusCode, codeOf(answer)]).toEqual([403, 'REQUEST_FORBIDDEN']);
  });

  test('a request of an old browser is accepted by its origin', async () => {
    const { http } = await openTestPage();
    const answer = await http.inject({
      method: 'POST',
      url: '/api/session',
      headers: { host: '127.0.0.1:8080', origin: 'http://127.0.0.1:8080' },
      payload: { token: PAGE_TOKEN },
    });
    expect(answer.statusCode).toBe(204);
  });

  test.each(['evil.example:8080', 'evil.example', '127.0.0.1.evil.example'])(
    'a request that names the host %j is refused, for files too',
    async (host) => {
      const { http } = await openTestPage({ hosts: ['page.example.org'] });
      for (const url of ['/', '/api/me', '/page/index.html']) {
        const answer = await http.inject({ url, headers: { host } });
        expect([answer.statusCode, codeOf(answer)]).toEqual([403, 'REQUEST_FORBIDDEN']);
      }
    },
  );
});

describe('files', () => {
  test('every answer has a strict policy, and the page its import map allowed by hash', async () => {
    const { http } = await openTestPage();
    const answer = await http.inject({ url: '/', headers: OWN_HEADERS });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    const policy = String(answer.headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none';script-src 'self' 'sha256-[\w+/=]{44}';style-src 'self';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|http:|https:|\*/);
    const refused = await http.inject({ url: '/api/me', headers: OWN_HEADERS });
    expect(refused.headers['content-security-policy']).toBe(policy);
    expect(refused.headers['cache-control']).toBe('no-store');
  });

  test('files are served below their own addresses only, and not sent again while they are the same', async () => {
    const { http } = await openTestPage();
    const get = (url: string, headers: Record<string, string> = {}) =>
      http.inject({ url, headers: { ...OWN_HEADERS, ...headers } });
    const preact = await get('/lib/preact/preact.mjs');
    expect([preact.statusCode, preact.headers['content-type']]).toEqual([
      200,
      'text/javascript; charset=utf-8',
    ]);
    const again = await get('/lib/preact/preact.mjs', { 'if-none-match': String(preact.headers.etag) });
    expect([again.statusCode, again.body]).toEqual([304, '']);
    const small = await get('/lib/preact/preact.mjs', { 'accept-encoding': 'gzip, br' });
    expect(small.headers['content-encoding']).toBe('br');
    expect(small.rawPayload.length).toBeLessThan(preact.rawPayload.length);
    expect((await get('/jobs/20261123-061502-harbour-9f3a1c')).headers['content-type']).toMatch(
      /^text\/html/,
    );
    for (const url of [
      '/lib/../../package.json',
      '/lib/%2e%2e/package.json',
      '/page/..%2f..%2fserver.ts',
      '/page/../server.ts',
      '/page/none.ts',
      '/api/none',
    ])
      expect((await get(url)).body).not.toMatch(/"private"|createPlainHttp/);
    expect((await get('/page/none.ts')).statusCode).toBe(404);
  });
});

describe('paths', () => {
  test.each(['..%2f..%2fcontrol', '%00', 'a%2fb', 'Job', '%E0%A4%A', 'x'.repeat(200)])(
    'the job id %s is refused',
    async (jobId) => {
      const { http, signIn } = await openTestPage();
      const headers = await signIn();
      for (const path of ['', '/pause', '/cancel', '/priority']) {
        const method = path === '' ? 'GET' : path === '/priority' ? 'PUT' : 'POST';
        const answer = await http.inject({
          method,
          url: `/api/jobs/${jobId}${path}`,
          headers,
          ...(method !== 'GET' && { payload: { keepScored: true, priority: 'high' } }),
        });
        expect(answer.statusCode).toBeGreaterThanOrEqual(400);
        expect(answer.statusCode).toBeLessThan(500);
      }
    },
  );
});
