/** The local fleet in normal use, stopped and killed during a job. `test/faults/private-fleet.test.ts` kills its parts. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { expect, test } from 'vitest';

import { fetchResult } from '../../support/commands.ts';
import { eventually } from '../../support/eventually.ts';
import { CLIP_FRAMES, LocalFleet } from '../../support/local-fleet.ts';
import { pictureTimes } from '../../support/media-clips.ts';
import { findProcess } from '../../support/processes.ts';

const fleet = new LocalFleet();

test('a shared fleet runs a job, rejects a second fleet, scales in to zero workers and stops on Ctrl-C', async () => {
  const command = await fleet.start();
  expect(await findProcess(fleet.localFolder, 'worker/main.ts')).toBeUndefined();
  // The folder of the result is deleted while the job runs. A shared fleet keeps the result for fetch.
  const gone = fleet.at('gone');
  await mkdir(gone, { recursive: true });
  const job = fleet.startJob('--json', '--out', path.join(gone, 'result.mp4'));
  await fleet.engineRuns();
  await rm(gone, { recursive: true });
  const second = await fleet.startUnready().end;
  expect(second.stderr).toContain('already running');
  expect(second.status).toBe(69);
  const { status, stdout } = await job.end;
  const { error } = JSON.parse(stdout) as { error: Record<string, string> };
  expect(error).toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringContaining('the folder does not exist') as string,
    kept: expect.stringMatching(/^results\/.*\.mp4$/) as string,
  });
  expect(status).toBe(73);
  const jobId = error['kept']?.split('/')[1] ?? '';
  expect(error['hint']).toContain(`npm run fetch -- ${jobId} --out PATH`);
  const fetched = fleet.at('fetched.mp4');
  const { localFolder } = fleet;
  const fetching = (...args: string[]) =>
    fetchResult([jobId, '--out', fetched, ...args], { localFolder }).end;
  expect(await fetching()).toMatchObject({ status: 0, stdout: `${fetched}\n` });
  expect((await pictureTimes(fetched)).seconds).toHaveLength(CLIP_FRAMES);
  expect(await fetching()).toMatchObject({ status: 73 });
  expect(await fetching('--force', '--json')).toMatchObject({ status: 0, stderr: '' });
  const unknown = await fetchResult(['no-such-job'], { localFolder }).end;
  expect(unknown.stderr).toContain('Cannot fetch the result: there is no job no-such-job.');
  expect(unknown.status).toBe(66);
  await eventually(
    'no worker is left',
    async () => (await findProcess(localFolder, 'worker/main.ts')) === undefined,
  );
  command.child.kill('SIGINT');
  expect((await command.end).status).toBe(0);
  await fleet.nothingIsLeft();
});

test('a stopped fleet resumes its job after a restart; a killed one leaves no processes and no lock, and the next fleet works', async () => {
  const stopped = await fleet.start();
  const job = fleet.startJob('--json');
  await fleet.engineRuns();
  stopped.child.kill('SIGTERM');
  expect(await stopped.end).toMatchObject({ status: 0 });
  expect(stopped.heard()).toContain('Jobs that have not ended go on after the next `npm start`');
  const { status, stdout } = await job.end;
  expect(status).toBe(69);
  const [, jobId = 'none'] = /The job (\S+) goes on when its fleet does/.exec(stdout) ?? [];
  await fleet.nothingIsLeft();

  const killed = await fleet.start();
  await eventually('the job of the first fleet is completed', async () => {
    const log = await readFile(path.join(fleet.localFolder, 'shared', 'logs', 'producer.log'), 'utf8');
    return log.split('\n').some((line) => line.includes('job completed') && line.includes(jobId));
  });
  await fleet.startJob('--json', '--detach').end;
  await fleet.engineRuns();
  killed.child.kill('SIGKILL');
  await fleet.nothingIsLeft();

  await fleet.start();
  const after = await fleet.startJob('--json', '--out', fleet.at('after.mp4')).end;
  expect(JSON.parse(after.stdout)).toMatchObject({ state: 'completed', frames: CLIP_FRAMES });
  expect(after.status).toBe(0);
});
