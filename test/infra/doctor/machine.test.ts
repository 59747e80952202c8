/** The doctor’s findings on this machine and its programs: every verdict, with its message and hint. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { COMPOSE_PORTS } from '../../../infra/doctor/machine/check-machine.ts';
import { judgeMachine } from '../../../infra/doctor/machine/judge-machine.ts';
import { judgePorts } from '../../../infra/doctor/machine/judge-ports.ts';
import { type ProgramReadings, judgePrograms } from '../../../infra/doctor/machine/judge-programs.ts';
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

  test('with a folder that is not writable is an error', () => {
    const [disk] = judgeMachine({ ...machine, isWritable: false });
    expect(findingLine(disk as Finding)).toMatch(/^error disk: \/work\/\.framefleet is not writable \|/);
  });

  test.each([
    [50, 'ok'],
    [9.9, 'warning'],
    [0.9, 'error'],
  ])('with %d GiB of free disk is %s', (free, verdict) => {
    expect(verdictOf(judgeMachine({ ...machine, diskFreeBytes: free * GIB }), 'disk')).toBe(verdict);
  });

  test.each([
    [8, 'ok'],
    [3, 'warning'],
    [1.5, 'warning'],
    [0.9, 'error'],
  ])('with %d GiB of free memory is %s', (free, verdict) => {
    expect(verdictOf(judgeMachine({ ...machine, memoryFreeBytes: free * GIB }), 'memory')).toBe(verdict);
  });

  test('with few resources gets a full message for each', () => {
    const poor = judgeMachine({ ...machine, cores: 1, memoryFreeBytes: 3 * GIB, diskFreeBytes: 5.5 * GIB });
    expect(poor.map(findingLine)).toEqual([
      'warning disk: 5.5 GiB free for /work/.framefleet: enough for about 5 minutes of full HD | ' +
        'Free some space, or use another folder: FRAMEFLEET_LOCAL_FOLDER=/path/with/space',
      'warning memory: 3.0 GiB free: enough for one worker | ' +
        'Close other programs, or limit the fleet to one worker: FRAMEFLEET_CAPACITY_MAX=1',
      'warning cores: 1 core: ffmpeg and the model share it | Jobs run slowly. Try a short video first.',
    ]);
  });

  test.each([
    [null, null, ['ok ports: free ports are available on 127.0.0.1 | ']],
    ['EPERM', null, [expect.stringMatching(/^error ports: no port is available on 127\.0\.0\.1: EPERM \|/)]],
    [null, [], [expect.anything(), 'ok compose: the ports of docker-compose.yml are free | ']],
    [
      null,
      [3000, 9090],
      [
        expect.anything(),
        expect.stringMatching(/^warning compose: ports of docker-compose.yml in use: 3000, 9090 \|/),
      ],
    ],
  ])('with loopback error %j and compose ports %j in use', (loopbackError, composeTaken, expected) => {
    expect(judgePorts({ loopbackError, composeTaken }).map(findingLine)).toEqual(expected);
  });

  test('is checked for every port that docker-compose.yml publishes', () => {
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

  test('that are all installed are listed with their versions', () => {
    expect(judgePrograms(all).map(findingLine)).toEqual([
      'ok node: 24.21.0 | ',
      'ok ffmpeg: 5.1.9, with libx264 and mjpeg | ',
      'ok ffprobe: 5.1.9 | ',
      'ok redis: 7.0.15 | ',
    ]);
  });

  test.each<[string, Partial<ProgramReadings>, RegExp]>([
    [
      'ffmpeg is missing',
      { ffmpegVersion: null },
      /^error ffmpeg: not installed.* \| Install it: apt-get install -y ffmpeg$/,
    ],
    [
      'ffmpeg has no x264',
      { ffmpegEncoders: ' V mjpeg' },
      /^error ffmpeg: 5\.1\.9, built without libx264 \|/,
    ],
    ['ffprobe is missing', { ffprobeVersion: null }, /^error ffprobe: not installed/],
    [
      'Redis is missing',
      { redisVersion: null },
      /^error redis: .* \| Install it: apt-get install -y redis-server$/,
    ],
    [
      'Redis is old',
      { redisVersion: 'Redis server v=6.0.16' },
      /^warning redis: 6\.0\.16 is older than 6\.2 \|/,
    ],
    ['setpriv is missing', { setprivVersion: null }, /^warning setpriv: not installed/],
    ['Node is old', { nodeVersion: '20.19.5' }, /^error node: 20\.19\.5 is too old: .* \| .*npm ci$/],
  ])('give exactly one finding if %s', (_, change, expected) => {
    const problems = judgePrograms({ ...all, ...change }).filter(({ verdict }) => verdict !== 'ok');
    expect(problems.map(findingLine)).toEqual([expect.stringMatching(expected)]);
  });

  test('without setpriv are complete on systems other than Linux', () => {
    expect(
      judgePrograms({ ...all, setprivVersion: undefined }).every(({ verdict }) => verdict === 'ok'),
    ).toBe(true);
  });
});
