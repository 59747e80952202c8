import { expect, test, vi } from 'vitest';

import { type TokenCredential, sharedTokens } from '../../../shared/azure/shared-tokens.ts';

const SCOPE = 'https://storage.azure.com/.default';
const inMinutes = (minutes: number) => ({ token: 't', expiresOnTimestamp: Date.now() + minutes * 60_000 });

/** An identity whose responses the test resolves. */
function slowIdentity() {
  const answers: PromiseWithResolvers<Awaited<ReturnType<TokenCredential['getToken']>>>[] = [];
  const getToken = vi.fn<TokenCredential['getToken']>(() => {
    const answer = Promise.withResolvers<Awaited<ReturnType<TokenCredential['getToken']>>>();
    answers.push(answer);
    return answer.promise;
  });
  return { tokens: sharedTokens({ getToken }), getToken, answers };
}

test('an aborted try stops waiting, and the next try gets the token that was being fetched', async () => {
  const { tokens, getToken, answers } = slowIdentity();
  const first = new AbortController();
  const waiting = tokens.getToken(SCOPE, { abortSignal: first.signal });
  first.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });

  const next = tokens.getToken(SCOPE, { abortSignal: new AbortController().signal });
  answers[0]?.resolve(inMinutes(60));
  expect(await next).toMatchObject({ token: 't' });
  expect(await tokens.getToken(SCOPE)).toMatchObject({ token: 't' });
  expect(getToken).toHaveBeenCalledOnce();
});

test('a token whose request was aborted is cached for the next request', async () => {
  const { tokens, getToken, answers } = slowIdentity();
  await expect(tokens.getToken(SCOPE, { abortSignal: AbortSignal.abort() })).rejects.toThrow(
    'no longer waiting',
  );
  answers[0]?.resolve(inMinutes(60));
  expect(await tokens.getToken(SCOPE)).toMatchObject({ token: 't' });
  expect(getToken).toHaveBeenCalledOnce();
});

test('a token that is about to expire is fetched again', async () => {
  const { tokens, getToken, answers } = slowIdentity();
  const first = tokens.getToken(SCOPE);
  answers[0]?.resolve(inMinutes(4));
  await first;
  const second = tokens.getToken(SCOPE);
  answers[1]?.resolve(inMinutes(60));
  await second;
  await tokens.getToken(SCOPE);
  expect(getToken).toHaveBeenCalledTimes(2);
});

test('a failed fetch rejects all waiting requests and is not cached', async () => {
  const { tokens, answers } = slowIdentity();
  const both = [tokens.getToken(SCOPE), tokens.getToken(SCOPE)];
  answers[0]?.reject(new Error('not logged in'));
  for (const one of both) await expect(one).rejects.toThrow('not logged in');
  const again = tokens.getToken(SCOPE);
  answers[1]?.resolve(inMinutes(60));
  expect(await again).toMatchObject({ token: 't' });
});

test('each tenant has its own token, and claims challenges are never cached', async () => {
  const { tokens, getToken, answers } = slowIdentity();
  const asked = [
    tokens.getToken(SCOPE),
    tokens.getToken(SCOPE, { tenantId: 'other' }),
    tokens.getToken(SCOPE, { claims: 'c' }),
    tokens.getToken(SCOPE, { claims: 'c' }),
  ];
  for (const { resolve } of answers) resolve(inMinutes(60));
  await Promise.all(asked);
  expect(getToken).toHaveBeenCalledTimes(4);
});
