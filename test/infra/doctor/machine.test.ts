/** What the doctor makes of this machine and its programs: each verdict, with the sentence that helps. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { judgeMachine } from '../../../infra/doctor/machine/judge-machine.ts';
import { judgePorts } from '../../../infra/doctor/machine/judge-ports.ts';
import { type ProgramReadings, judgePrograms } from '../../../infra/doctor/machine/judge-programs.ts';
import { COMPOSE_PORTS } from '../../../infra/doctor/machine/look-at-machine.ts';
import type { Finding } from '../../../shared/contract/finding.ts';
import { findingLine } from '../../support/finding-line.ts';

const GIB = 2 ** 30;
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
    expect(findingLine(disk as Finding)).toMatch(
      /^wrong disk: nothing may be written to \/work\/\.framefleet \|/,
    );
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
    expect(poor.map(findingLine)).toEqual([
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
    expect(judgePorts({ loopbackTrouble: trouble, composeTaken: taken }).map(findingLine)).toEqual(expected);
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
    expect(judgePrograms(all).map(findingLine)).toEqual([
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
    expect(troubles.map(findingLine)).toEqual([expect.stringMatching(expected)]);
  });

  test('on a system without setpriv do not miss it', () => {
    expect(
      judgePrograms({ ...all, setprivVersion: undefined }).every(({ verdict }) => verdict === 'right'),
    ).toBe(true);
  });
});
