import { expect, test } from 'vitest';

import { StderrTail } from '../../../shared/media/stderr-tail.ts';

test('lines are joined from any chunks, and a repeated line is kept once', () => {
  const tail = new StderrTail();
  for (const text of [
    '[h264 @ 0x55a',
    'bc] bad block\r\n[h264 @ 0x77',
    'ff] bad block\nother\n',
    'unfinished',
  ])
    tail.push(text);
  expect(tail.lines()).toEqual(['[h264] bad block', 'other', 'unfinished']);
});

test('memory stays bounded when a program prints without end or never ends a line', () => {
  const tail = new StderrTail();
  for (let line = 0; line < 1000; line += 1) tail.push(`line ${line}\n`);
  tail.push('x'.repeat(1_000_000));
  const lines = tail.lines();
  expect(lines).toHaveLength(20);
  expect(lines.at(-1)).toHaveLength(300);
  expect(lines.at(-2)).toBe('line 999');
});

test('escape sequences are removed from lines', () => {
  const tail = new StderrTail();
  tail.push('\u001B[31mred\u0007\n');
  expect(tail.lines()).toEqual(['[31mred']);
});
