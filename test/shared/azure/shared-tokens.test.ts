import { expect, test, vi } from 'vitest';

import { type TokenCredential, sharedTokens } from '../../../shared/azure/shared-tokens.ts';

const SCOPE = 'https://storage.azure.com/.default';
const inMinutes = (minutes: number) => ({ token: 't', expiresOnTimestamp: Date.now() + minutes * 60_000 });

/** An identity that answers when it is told to. */
function slowIdentity() {
  const answers: PromiseWithResolvers<Awaited<ReturnType<TokenCredential['getToken']>>>[] = [];
  const getToken = vi.fn<TokenCredential['getToken']>(() => {
    const answer = Promise.withResolvers<Awaited<ReturnType<TokenCredential['getToken']>>>();
    answers.push(answer);
    return answer.promise;
  });
  return { tokens: sharedTokens({ getToken }), getToken, answers };
}

test('a try that ends stops waiting, and the next one gets the token that was on its way', async () => {
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

test('a token that nobody waited for is there for whoever asks next', async () => {
  const { tokens, getToken, answers } = slowIdentity();
  await expect(tokens.getToken(SCOPE, { abortSignal: AbortSignal.abort() })).rejects.toThrow('nobody waits');
  answers[0]?.resolve(inMinutes(60));
  expect(await tokens.getToken(SCOPE)).toMatchObject({ token: 't' });
  expect(getToken).toHaveBeenCalledOnce();
});

test('a token that is about to expire is fetched anew', async () => {
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

test('a failure is told to all who wait, and to nobody after them', async () => {
  const { tokens, answers } = slowIdentity();
  const both = [tokens.getToken(SCOPE), tokens.getToken(SCOPE)];
  answers[0]?.reject(new Error('not logged in'));
  for (const one of both) await expect(one).rejects.toThrow('not logged in');
  const again = tokens.getToken(SCOPE);
  answers[1]?.resolve(inMinutes(60));
  expect(await again).toMatchObject({ token: 't' });
});

test('another tenant has another token, and a challenge is answered each time', async () => {
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
