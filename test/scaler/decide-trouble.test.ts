/** Instances that are faulty, silent or never came up, and which instances are removed in the end. */
import { describe, expect, test } from 'vitest';

import { decide } from '../../scaler/decide/decide.ts';
import { type Memory, INITIAL_MEMORY } from '../../scaler/decide/memory.ts';
import type { Observation } from '../../scaler/observe/observation.ts';
import { POLICY_DEFAULTS, type Policy } from '../../scaler/policy.ts';
import {
  type SeenInstance,
  buildJob,
  buildObservation,
  inWords,
  later,
} from '../support/build-observation.ts';

const BUSY: SeenInstance = { says: 'busy' };
const SILENT: SeenInstance = { says: 'busy', heardMs: 70_000 };
const NEVER_HEARD: SeenInstance = { says: 'none', ageMs: 601_000 };
const WORK = { backlog: [buildJob(600)] };
const asks = (...vmIds: readonly string[]): ReadonlyMap<string, string> =>
  new Map(vmIds.map((vmId) => [vmId, `"${vmId}"`]));

/** What one scaler with its memory decides at each of these observations. */
function inARow(
  seen: readonly Observation[],
  policy: Partial<Policy> = {},
  memory = INITIAL_MEMORY,
): readonly string[] {
  let remembered: Memory = memory;
  return seen.map((one) => {
    const decided = decide(one, { ...POLICY_DEFAULTS, ...policy }, remembered);
    remembered = decided.memory;
    return inWords(decided.decision);
  });
}

describe('removal', () => {
  const drained = (quotes: string | null): SeenInstance => ({ says: 'drained', quotes });

  test('removes only instances that are drained and quote the request in force', () => {
    const drainRequests = asks('vm-0', 'vm-1', 'vm-2', 'vm-3');
    const instances = [
      drained('"vm-0"'),
      drained('"an older one"'),
      drained(null),
      { says: 'draining', quotes: '"vm-3"' },
    ] as const;
    expect(inARow([buildObservation(instances, { drainRequests })])).toEqual(['remove asked vm-0']);
    expect(inARow([buildObservation([drained('"vm-0"')])])).toEqual(['hold']);
  });

  test('names the reason for the drain if it is remembered', () => {
    const idle = buildObservation([{ says: 'idle', sinceMs: 400_000 }]);
    const gone = buildObservation([drained('"vm-0"')], { drainRequests: asks('vm-0') });
    expect(inARow([idle, idle, gone])).toEqual(['hold', 'drain idle vm-0', 'remove idle vm-0']);
  });

  test('waits until every worker on the instance is drained', () => {
    const seen = buildObservation([drained('"vm-0"')], { drainRequests: asks('vm-0') });
    const [first] = seen.workers?.get('vm-0') ?? [];
    const second = first && { ...first, beat: { ...first.beat, workerId: 'vm-0-1', state: 'busy' as const } };
    const workers = new Map([['vm-0', [first, second].filter((one) => one !== undefined)]]);
    expect(inARow([{ ...seen, workers }])).toEqual(['hold']);
    expect(inARow([seen], { enginesPerInstance: 2 })).toEqual(['remove asked vm-0']);
    const young = buildObservation([{ ...drained('"vm-0"'), ageMs: 60_000 }], {
      drainRequests: asks('vm-0'),
    });
    expect(inARow([young], { enginesPerInstance: 2 })).toEqual(['hold']);
  });

  test('removes a stopped instance at once, but not while it sends heartbeats', () => {
    const stopped = (heardMs: number) =>
      inARow([buildObservation([{ says: 'busy', phase: 'stopped', heardMs }, BUSY], WORK)]);
    expect(stopped(2_000)).toEqual(['hold']);
    expect(stopped(61_000)).toEqual(['out local 3']);
    const idle = buildObservation([{ says: 'none', phase: 'stopped' }]);
    expect(inARow([idle])).toEqual(['remove stopped vm-0']);
  });

  test('drains an instance that the cloud reports as failed first, because it may be at work', () => {
    const failed: SeenInstance = { says: 'none', phase: 'failed' };
    const seen = buildObservation([BUSY, failed], { backlog: [buildJob(300)] });
    const asked = { ...seen, drainRequests: asks('vm-1') };
    expect(inARow([seen, asked, later(asked, 300_000)])).toEqual([
      'drain failed vm-1',
      'hold',
      'remove failed vm-1',
    ]);
    expect(inARow([buildObservation([{ ...BUSY, phase: 'failed' }], WORK)])).toEqual(['out local 2']);
  });

  test('drains an instance that drained for a notice and still exists, then removes it', () => {
    const stays = (sinceMs: number, quotes: string | null = null): SeenInstance => ({
      says: 'drained',
      sinceMs,
      quotes,
    });
    expect(inARow([buildObservation([stays(1_200_000)])])).toEqual(['hold']);
    const asked = buildObservation([stays(1_300_000, '"vm-0"')], { drainRequests: asks('vm-0') });
    expect(inARow([buildObservation([stays(1_201_000)]), asked])).toEqual([
      'drain by-itself vm-0',
      'remove by-itself vm-0',
    ]);
  });

  test('removes nothing while heartbeats or drain requests cannot be read', () => {
    const seen = buildObservation([drained('"vm-0"'), { says: 'none', phase: 'stopped' }], {
      drainRequests: asks('vm-0'),
    });
    expect(
      inARow([
        { ...seen, workers: null },
        { ...seen, drainRequests: null },
      ]),
    ).toEqual(['hold', 'hold']);
  });
});

describe('silence', () => {
  test('of one instance is its own fault: it is replaced, and removed when no lease can be left', () => {
    const seen = buildObservation([BUSY, SILENT], WORK);
    const asked = buildObservation([BUSY, SILENT, BUSY], { ...WORK, drainRequests: asks('vm-1') });
    const silentStill = (byMs: number): Observation => {
      const after = later(asked, byMs);
      const word = asked.workers?.get('vm-1') ?? [];
      return { ...after, workers: new Map(after.workers).set('vm-1', word) };
    };
    expect(inARow([seen, asked, silentStill(299_000), silentStill(300_000)])).toEqual([
      'out local 3, drain silent vm-1',
      'hold',
      'hold',
      'remove silent vm-1',
    ]);
  });

  test('of all instances is not their fault: none is replaced and none drains', () => {
    const seen = buildObservation([SILENT, SILENT, SILENT], WORK);
    const { decision } = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY);
    expect([inWords(decision), decision.reason]).toEqual(['hold', 'fleet-silent']);
    expect(decision.blockers).toMatchObject([{ kind: 'fleet-silent' }]);
    const more = buildObservation([SILENT, SILENT], { backlog: [buildJob(1500)] });
    expect(inARow([more])).toEqual(['out local 5']);
  });

  test('of most instances is not their fault until others have sent heartbeats all the time', () => {
    const long: SeenInstance = { says: 'busy', heardMs: 600_000 };
    const most = (silent: SeenInstance) => inARow([buildObservation([silent, silent, BUSY], WORK)]);
    expect(most(SILENT)).toEqual(['hold']);
    expect(most(long)).toEqual(['out local 4, drain silent vm-0 vm-1']);
  });

  test('of all instances for a boot time-out starts one new instance, to find the cause', () => {
    const long: SeenInstance = { says: 'busy', heardMs: 600_000 };
    expect(inARow([buildObservation([long], { backlog: [buildJob(300)] })])).toEqual(['out local 2']);
    const scout: SeenInstance = { says: 'none', ageMs: 5_000 };
    expect(inARow([buildObservation([long, scout], { backlog: [buildJob(300)] })])).toEqual(['hold']);
    expect(inARow([buildObservation([long])])).toEqual(['hold']);
  });
});

describe('an instance that does not boot', () => {
  test('drains and is replaced if it sent no heartbeat within the boot time-out', () => {
    const seen = buildObservation([BUSY, NEVER_HEARD], WORK);
    const asked = buildObservation([BUSY, NEVER_HEARD, BUSY], { ...WORK, drainRequests: asks('vm-1') });
    expect(inARow([seen, asked, later(asked, 300_000)])).toEqual([
      'out local 3, drain never-reported vm-1',
      'hold',
      'remove never-reported vm-1',
    ]);
    expect(inARow([buildObservation([BUSY, { ...NEVER_HEARD, ageMs: 599_000 }], WORK)])).toEqual(['hold']);
  });

  test('drains and is replaced if it sends heartbeats but never gets ready', () => {
    const booting: SeenInstance = { says: 'booting' };
    const seen = buildObservation([BUSY, booting], WORK);
    const replaced = buildObservation([BUSY, booting, BUSY], { ...WORK, drainRequests: asks('vm-1') });
    const asked = later(replaced, 605_000);
    expect(inARow([seen, later(seen, 600_000), later(seen, 601_000), asked, later(asked, 600_000)])).toEqual([
      'hold',
      'hold',
      'out local 3, drain never-ready vm-1',
      'hold',
      'remove never-ready vm-1',
    ]);
  });

  test('is tried one at a time, at growing intervals, after three failures in a row', () => {
    const failed = [NEVER_HEARD, NEVER_HEARD, NEVER_HEARD];
    const seen = buildObservation(failed, { backlog: [buildJob(1500)] });
    const first = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY);
    expect(first.decision).toMatchObject({
      reason: 'replacing',
      numbers: { failedBoots: 3, missing: 5, added: 0 },
    });
    expect(first.decision.blockers).toMatchObject([{ kind: 'boots-fail' }]);
    const gone = buildObservation([], { backlog: [buildJob(1500)] });
    const waiting = decide(later(gone, 599_000), POLICY_DEFAULTS, first.memory);
    expect([inWords(waiting.decision), waiting.decision.reason, waiting.decision.next.kind]).toEqual([
      'hold',
      'boots-fail',
      'boot-tried-again',
    ]);
    const tried = decide(later(gone, 600_000), POLICY_DEFAULTS, waiting.memory);
    expect(inWords(tried.decision)).toBe('out local 1');
    const booting = buildObservation([{ says: 'none', ageMs: -600_000 }], { backlog: [buildJob(1500)] });
    expect(inWords(decide(later(booting, 620_000), POLICY_DEFAULTS, tried.memory).decision)).toBe('hold');
    // An instance that comes up proves that the cause is fixed.
    const mended = buildObservation([{ ...BUSY, ageMs: 100_000 }], { backlog: [buildJob(1500)] });
    const after = { ...tried.memory, changeRequestedAtMs: {} };
    expect(inWords(decide(mended, POLICY_DEFAULTS, after).decision)).toBe('out local 5');
  });

  test('does not count while others that started with it come up', () => {
    const young: SeenInstance = { ...BUSY, ageMs: 600_000 };
    const seen = buildObservation([NEVER_HEARD, NEVER_HEARD, NEVER_HEARD, young], {
      backlog: [buildJob(1500)],
    });
    const { memory } = decide(seen, POLICY_DEFAULTS, INITIAL_MEMORY);
    const asked = { ...later(seen, 20_000), drainRequests: asks('vm-0', 'vm-1', 'vm-2') };
    expect(decide(asked, POLICY_DEFAULTS, memory).memory.boots.failures).toBe(0);
  });
});

describe('a faulty worker', () => {
  const scores = (recentStored: number, recentFailed: number): SeenInstance => ({
    says: 'busy',
    beat: { recentStored, recentFailed },
  });
  const good = scores(100, 2);
  const words = (instances: readonly SeenInstance[]) =>
    inARow([buildObservation(instances, { backlog: [buildJob(300 * instances.length)] })])[0];

  test('fails frames that others score: it drains and is replaced', () => {
    expect(words([good, good, scores(3, 10)])).toBe('out local 4, drain faulty vm-2');
  });

  test('drains worst first, and few at once', () => {
    expect(words([good, good, good, scores(9, 10), scores(0, 40)])).toBe('out local 6, drain faulty vm-4');
  });

  const NOT_AT_FAULT: readonly (readonly [string, readonly SeenInstance[]])[] = [
    ['all workers fail, so the cause is the job', [scores(0, 50), scores(0, 40), scores(1, 30)]],
    ['the others fail one in five', [scores(40, 10), scores(40, 10), scores(0, 50)]],
    ['the others have hardly tried', [scores(2, 0), scores(3, 0), scores(0, 50)]],
    ['it has failed only a few times', [good, good, scores(0, 9)]],
    ['it scores as many as it fails', [good, good, scores(20, 20)]],
    ['it is alone', [scores(0, 50)]],
    ['most workers fail', [good, scores(0, 50), scores(0, 50)]],
  ];

  test.each(NOT_AT_FAULT)('no worker counts as faulty when %s', (_, instances) => {
    expect(words(instances)).toBe('hold');
  });
});
