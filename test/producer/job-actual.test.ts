import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { actualRows } from '../../producer/cli/actual-text.ts';
import { type ActualInputs, actualOf } from '../../producer/jobs/job-actual.ts';
import { jobActual } from '../../shared/contract/job-actual.ts';

const START = Date.UTC(2026, 10, 23, 6, 15);
const at = (seconds: number): number => START + seconds * 1000;
const amount = (seconds: number, micros = 0) => ({ machineMs: seconds * 1000, micros });

/** Two machines at 3.6 an hour: a thousandth a second. */
const INPUTS: ActualInputs = {
  spending: {
    total: amount(200, 200_000),
    work: amount(120, 120_000),
    boot: amount(60, 60_000),
    idle: amount(20, 20_000),
  },
  times: {
    splittingSinceMs: at(1),
    splitAtMs: at(11),
    scoringSinceMs: at(3),
    scoredAtMs: at(100),
    inferSeconds: 90,
    reportedSeconds: 120,
  },
  enginesPerMachine: 1,
  machinesLeft: 2,
  idleSeconds: 30,
  since: new Date(START),
  now: new Date(at(104)),
};

test('the parts are inference, other work, boot, idle and the idle window to come', () => {
  const { machineMs, micros } = actualOf(INPUTS);
  expect(machineMs).toEqual({
    inference: 90_000,
    other: 30_000,
    boot: 60_000,
    idle: 20_000,
    idleExpected: 60_000,
    total: 260_000,
  });
  expect(micros).toEqual({
    inference: 90_000,
    other: 30_000,
    boot: 60_000,
    idle: 20_000,
    idleExpected: 60_000,
    total: 260_000,
  });
});

test('the stages follow from their marks; one that is not known to have begun is left out', () => {
  const seconds = (stages: ReturnType<typeof actualOf>['stages']) =>
    stages.map(({ name, from, to }) => [name, Date.parse(from) - START, Date.parse(to) - START]);
  expect(seconds(actualOf(INPUTS).stages)).toEqual([
    ['waiting', 0, 1_000],
    ['splitting', 1_000, 11_000],
    ['scoring', 3_000, 100_000],
    ['joining', 100_000, 104_000],
  ]);
  const paused = { ...INPUTS.times, scoringSinceMs: at(40) };
  expect(seconds(actualOf({ ...INPUTS, times: paused }).stages).slice(1, 4)).toEqual([
    ['splitting', 1_000, 11_000],
    ['waiting', 11_000, 40_000],
    ['scoring', 40_000, 100_000],
  ]);
  const times = { inferSeconds: 0, reportedSeconds: 0, splittingSinceMs: at(1) };
  expect(seconds(actualOf({ ...INPUTS, times }).stages)).toEqual([
    ['waiting', 0, 1_000],
    ['splitting', 1_000, 104_000],
  ]);
});

test('the engines of a machine share its time', () => {
  expect(actualOf({ ...INPUTS, enginesPerMachine: 4 }).machineMs).toMatchObject({
    inference: 22_500,
    other: 97_500,
  });
});

test('a job that shares its machines is not charged for more inference than work', () => {
  const times = { ...INPUTS.times, inferSeconds: 500 };
  expect(actualOf({ ...INPUTS, times }).machineMs).toMatchObject({ inference: 120_000, other: 0 });
});

test('there is no money without prices', () => {
  const spending = { total: amount(20), work: amount(10), boot: amount(5), idle: amount(5) };
  const actual = actualOf({ ...INPUTS, spending });
  expect(actual.micros).toBeNull();
  expect(actualRows(actual).map(([label]) => label)).toEqual(['Time', 'Machines']);
});

test('a job is shown with its stages, and each part that is not zero', () => {
  expect(actualRows(actualOf({ ...INPUTS, machinesLeft: 0 }))).toEqual([
    ['Time', '1:44: waiting 0:01, splitting 0:10, scoring 1:37, joining 0:04'],
    ['Machines', '3:20: model 1:30, other work 0:30, boot 1:00, idle 0:20'],
    ['Cost', '0.2: model 0.09, other work 0.03, boot 0.06, idle 0.02'],
  ]);
  expect(actualRows(actualOf(INPUTS)).slice(1)).toEqual([
    [
      'Machines',
      '3:20: model 1:30, other work 0:30, boot 1:00, idle 0:20; and 1:00 expected for the idle window after the job',
    ],
    [
      'Cost',
      '0.2: model 0.09, other work 0.03, boot 0.06, idle 0.02; and 0.06 expected for the idle window after the job',
    ],
  ]);
});

test('the parts add up exactly, and what the scaler has charged is all but the idle window to come', () => {
  const whole = fc.integer({ min: 0, max: 1e9 });
  const charged = fc.record({ machineMs: whole, micros: whole });
  fc.assert(
    fc.property(
      fc.record({ work: charged, boot: charged, idle: charged }),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.integer({ min: 1, max: 8 }),
      fc.double({ min: 0, max: 100, noNaN: true }),
      ({ work, boot, idle }, inferSeconds, enginesPerMachine, machinesLeft) => {
        const total = {
          machineMs: work.machineMs + boot.machineMs + idle.machineMs,
          micros: work.micros + boot.micros + idle.micros,
        };
        const times = { ...INPUTS.times, inferSeconds };
        const spending = { total, work, boot, idle };
        const actual = actualOf({ ...INPUTS, spending, times, enginesPerMachine, machinesLeft });
        // The contract refuses parts that do not add up, that are negative, or that are not whole.
        expect(jobActual.parse(actual)).toEqual(actual);
        expect(actual.machineMs.total - actual.machineMs.idleExpected).toBe(total.machineMs);
        expect((actual.micros?.total ?? 0) - (actual.micros?.idleExpected ?? 0)).toBe(total.micros);
      },
    ),
  );
});
