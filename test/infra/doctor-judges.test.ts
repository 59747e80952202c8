import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { PROVIDERS } from '../../infra/doctor/azure/judge-providers.ts';
import { judgeRefusal } from '../../infra/doctor/azure/judge-refusal.ts';
import { judgeSize } from '../../infra/doctor/azure/judge-size.ts';
import { findingText, summary } from '../../infra/doctor/finding.ts';
import { judgeMachine } from '../../infra/doctor/machine/judge-machine.ts';
import { judgePorts } from '../../infra/doctor/machine/judge-ports.ts';
import { type ProgramReadings, judgePrograms } from '../../infra/doctor/machine/judge-programs.ts';
import { COMPOSE_PORTS } from '../../infra/doctor/machine/look-at-machine.ts';
import { type Reach, judgeClock, judgeReach } from '../../infra/doctor/storage/judge-network.ts';
import { type TriedRight, judgeRights } from '../../infra/doctor/storage/judge-rights.ts';
import { serversOf } from '../../infra/doctor/storage/reach.ts';
/** What the doctor makes of what it reads: each verdict, with the sentence that helps. */
import type { Finding } from '../../shared/contract/finding.ts';

const GIB = 2 ** 30;
const text = ({ topic, verdict, says, todo = '' }: Finding): string =>
  `${verdict} ${topic}: ${says} | ${todo}`;
const verdictOf = (findings: readonly Finding[], topic: string) =>
  findings.find((one) => one.topic === topic)?.verdict;

describe('a machine', () => {
  const machine = {
    cores: 4,
    memoryFreeBytes: 8 * GIB,
    diskFreeBytes: 50 * GIB,
    folder: '/work/.framefleet',
    isWritable: true,
  };

  test('whose folder nobody may write to is wrong', () => {
    const [disk] = judgeMachine({ ...machine, isWritable: false });
    expect(text(disk as Finding)).toMatch(/^wrong disk: nothing may be written to \/work\/\.framefleet \|/);
  });

  test.each([
    [50, 'right'],
    [9.9, 'warning'],
    [0.9, 'wrong'],
  ])('with %d GiB of free disk is %s', (free, verdict) => {
    expect(verdictOf(judgeMachine({ ...machine, diskFreeBytes: free * GIB }), 'disk')).toBe(verdict);
  });

  test.each([
    [8, 'right'],
    [3, 'warning'],
    [1.5, 'warning'],
    [0.9, 'wrong'],
  ])('with %d GiB of free memory is %s', (free, verdict) => {
    expect(verdictOf(judgeMachine({ ...machine, memoryFreeBytes: free * GIB }), 'memory')).toBe(verdict);
  });

  test('is told in full', () => {
    const poor = judgeMachine({ ...machine, cores: 1, memoryFreeBytes: 3 * GIB, diskFreeBytes: 5.5 * GIB });
    expect(poor.map(text)).toEqual([
      'warning disk: 5.5 GiB free for /work/.framefleet: enough for about 5 minutes of full HD | ' +
        'Make room there, or keep the fleet elsewhere: FRAMEFLEET_LOCAL_FOLDER=/path/with/room',
      'warning memory: 3.0 GiB free: enough for one worker | ' +
        'Close something; or have one worker only: FRAMEFLEET_CAPACITY_MAX=1',
      'warning cores: one core: ffmpeg and the model take turns | It works, slowly: try a short video first.',
    ]);
  });

  test.each([
    [null, null, ['right ports: free ones can be had on 127.0.0.1 | ']],
    ['EPERM', null, [expect.stringMatching(/^wrong ports: none can be had on 127\.0\.0\.1: EPERM \|/)]],
    [null, [], [expect.anything(), 'right compose: its ports are free | ']],
    [
      null,
      [3000, 9090],
      [expect.anything(), expect.stringMatching(/^warning compose: taken: 3000, 9090 \|/)],
    ],
  ])('whose loopback says %j, and of whose compose ports %j are taken', (trouble, taken, expected) => {
    expect(judgePorts({ loopbackTrouble: trouble, composeTaken: taken }).map(text)).toEqual(expected);
  });

  test('has the ports of docker-compose.yml looked at', () => {
    const published = [...readFileSync('docker-compose.yml', 'utf8').matchAll(/'127\.0\.0\.1:(\d+):\d+'/g)];
    expect(published.map(([, port]) => Number(port)).toSorted((a, b) => a - b)).toEqual(
      COMPOSE_PORTS.toSorted((a, b) => a - b),
    );
  });
});

describe('programs', () => {
  const all: ProgramReadings = {
    ffmpegVersion: 'ffmpeg version 5.1.9-0+deb12u1 Copyright (c)',
    ffmpegEncoders: ' V....D libx264  H.264\n VFS..D mjpeg   MJPEG',
    ffprobeVersion: 'ffprobe version 5.1.9',
    redisVersion: 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0',
    setprivVersion: 'setpriv from util-linux 2.38.1',
    nodeVersion: '24.21.0',
  };

  test('that are all there are right, with their versions', () => {
    expect(judgePrograms(all).map(text)).toEqual([
      'right node: 24.21.0 | ',
      'right ffmpeg: 5.1.9, with libx264 and mjpeg | ',
      'right ffprobe: 5.1.9 | ',
      'right redis: 7.0.15 | ',
    ]);
  });

  test.each<[string, Partial<ProgramReadings>, RegExp]>([
    [
      'ffmpeg is missing',
      { ffmpegVersion: null },
      /^wrong ffmpeg: not installed.* \| apt-get install -y ffmpeg$/,
    ],
    [
      'ffmpeg has no x264',
      { ffmpegEncoders: ' V mjpeg' },
      /^wrong ffmpeg: 5\.1\.9 was built without libx264 \|/,
    ],
    ['ffprobe is missing', { ffprobeVersion: null }, /^wrong ffprobe: not installed/],
    ['Redis is missing', { redisVersion: null }, /^wrong redis: .* \| apt-get install -y redis-server$/],
    [
      'Redis is old',
      { redisVersion: 'Redis server v=6.0.16' },
      /^warning redis: 6\.0\.16 is older than 6\.2 \|/,
    ],
    ['setpriv is missing', { setprivVersion: null }, /^warning setpriv: not installed/],
    ['Node is old', { nodeVersion: '20.19.5' }, /^wrong node: 20\.19\.5: .* \| .*npm ci$/],
  ])('of which %s are told so, and only that', (_, change, expected) => {
    const troubles = judgePrograms({ ...all, ...change }).filter(({ verdict }) => verdict !== 'right');
    expect(troubles.map(text)).toEqual([expect.stringMatching(expected)]);
  });

  test('on a system without setpriv do not miss it', () => {
    expect(
      judgePrograms({ ...all, setprivVersion: undefined }).every(({ verdict }) => verdict === 'right'),
    ).toBe(true);
  });
});

describe('the network', () => {
  const at = (reach: Reach) => ({ host: 'media.blob.core.windows.net', port: 443, isNeeded: true, reach });

  test('that reaches everything is one line', () => {
    expect(judgeReach([at('reached'), { ...at('reached'), host: 'b' }]).map(text)).toEqual([
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
    expect(text(finding as Finding)).toMatch(
      /^wrong network: media\.blob\.core\.windows\.net:443 cannot be reached: /,
    );
    expect(text(finding as Finding)).toMatch(expected);
  });

  test('without what no job needs is a warning', () => {
    const findings = judgeReach([
      at('reached'),
      { ...at('silent'), host: 'management.azure.com', isNeeded: false },
    ]);
    expect(findings.map(text)).toEqual([
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
    expect(text(judgeClock({ oursAt: new Date(theirAt.getTime() + skewMs), theirAt }))).toEqual(expected);
  });

  test('whose answers have no date says so', () => {
    const nobodys = judgeClock({ oursAt: new Date(), theirAt: new Date('') });
    expect(text(nobodys)).toMatch(/^warning clock: what answers has none \|/);
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
    expect(judgeRights([tried('allowed'), tried('allowed')]).map(text)).toEqual([
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
      tried('no-entry', 'AuthorizationFailure'),
      /^wrong rights: the media account lets nobody in from here \| .*operator_addresses/,
    ],
    [
      'an emulator has another key',
      { ...tried('no-entry', 'AuthorizationFailure'), signedBy: 'key' },
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
      tried('nobody', 'AuthenticationFailed'),
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
    expect(judgeRights([tried('allowed'), one]).map(text)).toEqual([expect.stringMatching(expected)]);
  });
});

describe('Azure', () => {
  const asked = { what: 'read the scale set gpu', needs: 'Reader', isAll: true };
  const refusal = (status: number | null, code: string | null) => ({ status, code, message: 'Sorry.' });

  test.each<[number | null, string | null, RegExp]>([
    [401, 'AuthenticationFailed', /^wrong x: .*you are not logged in/],
    [null, 'NoIdentity', /^wrong x: .*you are not logged in/],
    [403, 'AuthorizationFailed', /^wrong x: .*you may not \| .*the role Reader\./],
    [404, 'SubscriptionNotFound', /^wrong x: .*no such subscription/],
    [404, 'ResourceGroupNotFound', /^wrong x: .*it is not there \| Make it/],
    [
      409,
      'MissingSubscriptionRegistration',
      /^wrong x: .* \| az provider register --namespace Microsoft\.Compute/,
    ],
    [400, 'NoRegisteredProviderFound', /^wrong x: .*no such region \| .*az account list-locations/],
    [429, 'OperationNotAllowed', /^warning x: .*Azure answered 429 OperationNotAllowed \|/],
    [503, null, /^warning x: .*Azure answered 503 \|/],
    [null, 'ENOTFOUND', /^warning x: .*Azure does not answer \(Sorry\.\) \|/],
  ])('that answers %j %s', (status, code, expected) => {
    expect(text(judgeRefusal('x', asked, refusal(status, code)))).toMatch(expected);
  });

  test('that does not tell somebody who is let into the storage only keeps no job from running', () => {
    for (const code of ['AuthorizationFailed', 'SubscriptionNotFound', 'NoIdentity'])
      expect(judgeRefusal('x', { ...asked, isAll: false }, refusal(403, code)).verdict).toBe('warning');
    expect(judgeRefusal('x', { ...asked, isAll: false }, refusal(404, 'ResourceNotFound')).verdict).toBe(
      'wrong',
    );
  });

  test.each(['Standard_NC6', 'Standard_NC12_Promo', 'Standard_NC24rs_v2', 'standard_nc6s_v3'])(
    'has retired %s, and it is said with its successors',
    (size) => {
      const said = text(judgeSize({ size, location: 'eastus', zones: [], catalogue: [] }));
      expect(said).toMatch(/^wrong size: .*retired.* \| .*Standard_NC40ads_H100_v5/);
    },
  );

  test('is asked of the providers that Terraform registers, and retires the sizes that Terraform refuses', () => {
    const versions = readFileSync('infra/terraform/versions.tf', 'utf8');
    const [, list = ''] = /resource_providers_to_register = \[([^\]]+)\]/.exec(versions) ?? [];
    expect([...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name)).toEqual([...PROVIDERS]);
    const sizes = readFileSync('infra/terraform/sizes.tf', 'utf8');
    const judge = readFileSync('infra/doctor/azure/judge-size.ts', 'utf8');
    for (const [, pattern = ''] of sizes.matchAll(/retired_\w+ += "([^"]+)"/g))
      expect(judge).toContain(`/${pattern}/i`);
  });
});

test('a finding is a line, with what to do on the next, and all of them are counted', () => {
  const findings: Finding[] = [
    { topic: 'disk', verdict: 'right', says: '50 GiB free' },
    { topic: 'redis', verdict: 'wrong', says: 'not installed', todo: 'Install it.' },
  ];
  expect(findings.map(findingText).join('\n')).toBe(
    'right    disk      50 GiB free\nwrong    redis     not installed\n                   Install it.',
  );
  expect(summary(findings)).toBe('1 wrong, 0 warnings, 1 right.');
});
