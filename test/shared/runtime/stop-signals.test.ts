import { EventEmitter } from 'node:events';

import { beforeEach, expect, test } from 'vitest';

import { SAME_PRESS_MS, onStopSignals } from '../../../shared/runtime/stop-signals.ts';
import { MovableClock } from '../../support/movable-clock.ts';

let calls: string[];
let source: EventEmitter;
let clock: MovableClock;

beforeEach(() => {
  calls = [];
  source = new EventEmitter();
  clock = new MovableClock();
  const actions = {
    first: (signal: string) => calls.push(`first ${signal}`),
    again: (signal: string) => calls.push(`again ${signal}`),
  };
  onStopSignals(actions, { clock, source });
});

test('the first signal stops the program, whether SIGINT or SIGTERM', () => {
  source.emit('SIGTERM');
  expect(calls).toEqual(['first SIGTERM']);
});

test('a signal that repeats within a second counts as the same key press', () => {
  source.emit('SIGINT');
  clock.advance(3);
  source.emit('SIGINT');
  clock.advance(SAME_PRESS_MS - 3);
  source.emit('SIGTERM');
  expect(calls).toEqual(['first SIGINT']);
});

test('each later signal counts as another key press', () => {
  source.emit('SIGINT');
  clock.advance(SAME_PRESS_MS + 1);
  source.emit('SIGINT');
  source.emit('SIGTERM');
  expect(calls).toEqual(['first SIGINT', 'again SIGINT', 'again SIGTERM']);
});
