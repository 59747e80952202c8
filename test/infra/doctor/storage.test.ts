/** What the doctor makes of the network, the clock and the rights: each verdict, with the sentence that helps. */
import { describe, expect, test } from 'vitest';

import { type Reach, judgeClock, judgeReach } from '../../../infra/doctor/storage/judge-network.ts';
import { type TriedRight, judgeRights } from '../../../infra/doctor/storage/judge-rights.ts';
import { serversOf } from '../../../infra/doctor/storage/reach.ts';
import type { Finding } from '../../../shared/contract/finding.ts';
import { findingLine } from '../../support/finding-line.ts';

describe('the network', () => {
  const at = (reach: Reach) => ({ host: 'media.blob.core.windows.net', port: 443, isNeeded: true, reach });

  test('that reaches everything is one line', () => {
    expect(judgeReach([at('reached'), { ...at('reached'), host: 'b' }]).map(findingLine)).toEqual([
      'right network: reached: media.blob.core.windows.net, b | ',
    ]);
  });

  test.each<[Exclude<Reach, 'reached'>, RegExp]>([
    ['unresolvable', /no such name is known here \| Look for a slip in \.env/],
    ['refused', /nobody listens there \| Is it up\?/],
    ['silent', /nothing comes back \| A firewall or proxy/],
    ['untrusted', /another certificate \| .*NODE_EXTRA_CA_CERTS/],
    ['failed', /the connection fails \| See what this machine lets programs do/],
  ])('where a server is %s says what that means', (reach, expected) => {
    const [finding, ...others] = judgeReach([at('reached'), at(reach)]);
    expect(others).toEqual([]);
    expect(findingLine(finding as Finding)).toMatch(
      /^wrong network: media\.blob\.core\.windows\.net:443 cannot be reached: /,
    );
    expect(findingLine(finding as Finding)).toMatch(expected);
  });

  test('without what no job needs is a warning', () => {
    const findings = judgeReach([
      at('reached'),
      { ...at('silent'), host: 'management.azure.com', isNeeded: false },
    ]);
    expect(findings.map(findingLine)).toEqual([
      expect.stringMatching(/^warning network: management\.azure\.com:443 /),
    ]);
  });

  test.each([
    [0, 'right clock: as storage’s | '],
    [12_000, 'right clock: 12 s ahead of storage’s | '],
    [-40_000, expect.stringMatching(/^warning clock: 40 s behind storage’s \| Set it by the network/)],
    [
      400_000,
      expect.stringMatching(/^wrong clock: 400 s ahead of storage’s: tokens and addresses are refused \|/),
    ],
  ])('with a clock that is %d ms off', (skewMs, expected) => {
    const theirAt = new Date('2026-11-25T06:00:00Z');
    expect(findingLine(judgeClock({ oursAt: new Date(theirAt.getTime() + skewMs), theirAt }))).toEqual(
      expected,
    );
  });

  test('whose answers have no date says so', () => {
    const nobodys = judgeClock({ oursAt: new Date(), theirAt: new Date('') });
    expect(findingLine(nobodys)).toMatch(/^warning clock: what answers has none \|/);
  });

  test('knows the servers of an account by its name, its host, and an emulator’s connection string', () => {
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

  test('that are all there are one line', () => {
    expect(judgeRights([tried('allowed'), tried('allowed')]).map(findingLine)).toEqual([
      'right rights: the 2 that were tried are there | ',
    ]);
  });

  test.each<[string, TriedRight, RegExp]>([
    [
      'a role is missing',
      tried('no-role', 'AuthorizationPermissionMismatch'),
      /^wrong rights: you may not write into the container incoming of the media account \| .* Storage Blob Data Contributor /,
    ],
    [
      'a role of our own is missing',
      held,
      /^wrong rights: you may not receive messages of the queue frame-batches-poison of the system account \| .*“hold leases”/,
    ],
    [
      'the address is not let in',
      tried('blocked', 'AuthorizationFailure'),
      /^wrong rights: the media account lets nobody in from here \| .*operator_addresses/,
    ],
    [
      'an emulator has another key',
      { ...tried('blocked', 'AuthorizationFailure'), signedBy: 'key' },
      /^wrong rights: the media account refuses the key \|/,
    ],
    [
      'the account is switched off',
      tried('refused', 'AccountIsDisabled'),
      /^wrong rights: the media account refuses \(AccountIsDisabled\) \|/,
    ],
    [
      'keys are refused',
      tried('refused', 'KeyBasedAuthenticationNotPermitted'),
      /^wrong rights: the media account takes no keys \|/,
    ],
    [
      'nobody is logged in',
      tried('unauthenticated', 'AuthenticationFailed'),
      /^wrong rights: the media account does not take who you are \(AuthenticationFailed\) \| az login/,
    ],
    [
      'there is no such container',
      tried('absent', 'ContainerNotFound'),
      /^wrong rights: the media account has no container incoming \|/,
    ],
    [
      'nothing comes back',
      tried('unanswered', 'ServerBusy'),
      /^warning rights: the media account did not answer \(ServerBusy\) \|/,
    ],
  ])('where %s', (_, one, expected) => {
    expect(judgeRights([tried('allowed'), one]).map(findingLine)).toEqual([expect.stringMatching(expected)]);
  });
});
