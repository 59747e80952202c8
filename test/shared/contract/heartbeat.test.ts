import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  type Heartbeat,
  WORKER_STATES,
  heartbeatFrom,
  heartbeatMetadata,
} from '../../../shared/contract/heartbeat.ts';

const SAMPLE: Heartbeat = {
  version: 1,
  workerId: 'vm-7-0',
  vmId: 'vm-7',
  state: 'idle',
  stateSince: '2026-11-23T06:15:02.000Z',
  sequence: 12,
  sentAt: '2026-11-23T06:16:02.500Z',
  executionProvider: null,
  model: null,
  megapixelsPerSecond: null,
  recentStored: 10,
  recentFailed: 0,
  jobId: null,
  isTooOld: false,
  drainEtag: null,
};

const plainNames = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/);
const instants = fc.date({ min: new Date(0), max: new Date('2099-01-01'), noInvalidDate: true });
const beats: fc.Arbitrary<Heartbeat> = fc.record({
  version: fc.constant(1 as const),
  workerId: plainNames,
  vmId: plainNames,
  state: fc.constantFrom(...WORKER_STATES),
  stateSince: instants.map((instant) => instant.toISOString()),
  jobId: fc.constantFrom(null, 'job-1'),
  sequence: fc.nat(),
  sentAt: instants.map((instant) => instant.toISOString()),
  executionProvider: fc.option(fc.constantFrom('cuda', 'cpu')),
  model: fc.option(plainNames.map((name) => `${name}/1`)),
  megapixelsPerSecond: fc.option(fc.float({ min: 0, noNaN: true, noDefaultInfinity: true })),
  recentStored: fc.nat(),
  recentFailed: fc.nat(),
  isTooOld: fc.boolean(),
  drainEtag: fc.option(fc.constantFrom('"0x8D1"', '0x8DE')),
});

test('a heartbeat survives encoding and decoding, and is valid in a header', () => {
  fc.assert(
    fc.property(beats, (beat) => {
      const metadata = heartbeatMetadata(beat);
      expect(heartbeatFrom({ ...metadata, other: 'x' })).toEqual(beat);
      expect(Object.values(metadata).join('')).toMatch(/^[\x20-\x7e]*$/);
    }),
  );
});

test('heartbeatFrom returns undefined for any other metadata, and never throws', () => {
  expect(heartbeatFrom({})).toBeUndefined();
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (beat) => {
      expect(heartbeatFrom({ beat })).toBeUndefined();
    }),
  );
});

test.each([
  ['of another version', { version: 2 }],
  ['of an unknown state', { state: 'asleep' }],
  ['with an invalid VM id', { vmId: '../vm' }],
  ['with a negative sequence number', { sequence: -1 }],
  ['with an invalid time', { sentAt: 'now' }],
])('a heartbeat %s is rejected', (_, fields) => {
  expect(heartbeatFrom({ beat: JSON.stringify(SAMPLE) })).toEqual(SAMPLE);
  expect(heartbeatFrom({ beat: JSON.stringify({ ...SAMPLE, ...fields }) })).toBeUndefined();
});
