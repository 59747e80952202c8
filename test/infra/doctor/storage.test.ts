/** The doctor’s findings on the network, the clock and the rights: every verdict, with its message and hint. */
import { describe, expect, test } from 'vitest';

import { type Reach, judgeClock, judgeReach } from '../../../infra/doctor/storage/judge-network.ts';
import { type TriedRight, judgeRights } from '../../../infra/doctor/storage/judge-rights.ts';
import { serversOf } from '../../../infra/doctor/storage/probe-server.ts';
import type { Finding } from '../../../shared/contract/finding.ts';
import { findingLine } from '../../support/finding-line.ts';

describe('the network', () => {
  const at = (reach: Reach) => ({ host: 'media.blob.core.windows.net', port: 443, isNeeded: true, reach });

  test('gives one finding if every server is reached', () => {
    expect(judgeReach([at('reached'), { ...at('reached'), host: 'b' }]).map(findingLine)).toEqual([
      'ok network: reached: media.blob.core.windows.net, b | ',
    ]);
  });

  test.each<[Exclude<Reach, 'reached'>, RegExp]>([
    ['unresolvable', /the host name cannot be resolved \| Check the account names in \.env/],
    ['refused', /connection refused \| Check that the server is running/],
    ['silent', /no response \| A firewall or proxy/],
    ['untrusted', /the certificate is not trusted \| .*NODE_EXTRA_CA_CERTS/],
    ['failed', /the connection failed \| Check whether a sandbox or firewall/],
  ])('explains a server that is %s', (reach, expected) => {
    const [finding, ...others] = judgeReach([at('reached'), at(reach)]);
    expect(others).toEqual([]);
    expect(findingLine(finding as Finding)).toMatch(
      /^error network: cannot reach media\.blob\.core\.windows\.net:443: /,
    );
    expect(findingLine(finding as Finding)).toMatch(expected);
  });

  test('without a server that no job needs is a warning', () => {
    const findings = judgeReach([
      at('reached'),
      { ...at('silent'), host: 'management.azure.com', isNeeded: false },
    ]);
    expect(findings.map(findingLine)).toEqual([
      expect.stringMatching(/^warning network: cannot reach management\.azure\.com:443:/),
    ]);
  });

  test.each([
    [0, 'ok clock: in sync with storage | '],
    [12_000, 'ok clock: 12 s ahead of storage | '],
    [-40_000, expect.stringMatching(/^warning clock: 40 s behind storage \| Synchronize the clock/)],
    [
      400_000,
      expect.stringMatching(/^error clock: 400 s ahead of storage: Azure rejects tokens and signed URLs \|/),
    ],
  ])('with a clock that is %d ms off', (skewMs, expected) => {
    const theirAt = new Date('2026-11-25T06:00:00Z');
    expect(findingLine(judgeClock(new Date(theirAt.getTime() + skewMs), theirAt))).toEqual(expected);
  });

  test('reports a response without a Date header', () => {
    const undated = judgeClock(new Date(), new Date(''));
    expect(findingLine(undated)).toMatch(/^warning clock: the response has no Date header \|/);
  });

  test('derives the servers of an account from its name, its host, or the connection string of an emulator', () => {
    const azure = ['media1.blob.core.windows.net', 'media1.queue.core.windows.net'];
    expect(serversOf('media1').map(({ host }) => host)).toEqual(azure);
    expect(serversOf('media1.blob.core.windows.net')).toEqual(serversOf('media1'));
    const string =
      'AccountName=a;AccountKey=k;BlobEndpoint=http://127.0.0.1:10000/a;QueueEndpoint=http://127.0.0.1:10001/a';
    expect(serversOf(string)).toEqual([
      { host: '127.0.0.1', port: 10_000, isTls: false, isNeeded: true },
      { host: '127.0.0.1', port: 10_001, isTls: false, isNeeded: true },
    ]);
  });
});

describe('rights', () => {
  const tried = (outcome: TriedRight['result']['outcome'], code: string | null = null): TriedRight => ({
    account: 'media',
    signedBy: 'identity',
    tried: { container: 'incoming', right: 'write' },
    result: { outcome, code },
  });
  const held: TriedRight = {
    account: 'system',
    signedBy: 'identity',
    tried: { queue: 'frame-batches-poison', right: 'hold' },
    result: { outcome: 'no-role', code: 'AuthorizationPermissionMismatch' },
  };

  test('give one finding if all are present', () => {
    expect(judgeRights([tried('allowed'), tried('allowed')]).map(findingLine)).toEqual([
      'ok rights: all 2 access tests passed | ',
    ]);
  });

  test.each<[string, TriedRight, RegExp]>([
    [
      'a role is missing',
      tried('no-role', 'AuthorizationPermissionMismatch'),
      /^error rights: you do not have permission to write to the container incoming of the media account \| .* Storage Blob Data Contributor /,
    ],
    [
      'a custom role is missing',
      held,
      /^error rights: you do not have permission to receive messages from the queue frame-batches-poison of the system account \| .*“hold leases”/,
    ],
    [
      'the network rules block the caller',
      tried('blocked', 'AuthorizationFailure'),
      /^error rights: the media account rejects connections from this network \| .*operator_addresses/,
    ],
    [
      'an emulator has another key',
      { ...tried('blocked', 'AuthorizationFailure'), signedBy: 'key' },
      /^error rights: the media account rejects the key \|/,
    ],
    [
      'the account is disabled',
      tried('refused', 'AccountIsDisabled'),
      /^error rights: the media account refuses access \(AccountIsDisabled\) \|/,
    ],
    [
      'keys are refused',
      tried('refused', 'KeyBasedAuthenticationNotPermitted'),
      /^error rights: the media account does not accept keys \|/,
    ],
    [
      'the caller is not logged in',
      tried('unauthenticated', 'AuthenticationFailed'),
      /^error rights: the media account rejects your identity \(AuthenticationFailed\) \| Run az login/,
    ],
    [
      'the container does not exist',
      tried('absent', 'ContainerNotFound'),
      /^error rights: the media account has no container incoming \|/,
    ],
    [
      'storage does not respond',
      tried('unanswered', 'ServerBusy'),
      /^warning rights: the media account did not respond \(ServerBusy\) \|/,
    ],
  ])('are explained if %s', (_, one, expected) => {
    expect(judgeRights([tried('allowed'), one]).map(findingLine)).toEqual([expect.stringMatching(expected)]);
  });
});
