/** An intake on real servers with published models, and access to the status of its jobs. */
import { Intake } from '../../producer/intake/intake.ts';
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { PATIENT } from '../../shared/azure/credentials.ts';
import { statusBlob } from '../../shared/contract/blob-names.ts';
import { type JobStatus, jobStatus } from '../../shared/contract/job.ts';
import { passUntilRest, startControlServers } from './control-plane.ts';
import type { KilledAfter } from './killed-after.ts';
import { openTestQueue } from './test-queue.ts';
import { publishModel } from './upload-job.ts';

export async function startIntakeFixture() {
  const servers = await startControlServers();
  const { storage, server, control } = servers;
  const { queue: events } = await openTestQueue(storage, 'media-events');
  const { blobs } = storage;
  for (const version of ['1', '2', '10']) await publishModel(blobs, 'painter', version);
  await publishModel(blobs, 'upscaler', '1');

  return {
    storage,
    blobs,
    /** The raw storage client, for operations that no room performs. */
    media: await storage.accounts.media.blobs(PATIENT),
    server,
    control,
    events,
    /** A new intake, as on another or a restarted producer. `faults` replaces methods of the storage. */
    newIntake: (faults: Partial<BlobStore> = {}): Intake =>
      new Intake({ ...control, blobs: { ...blobs, ...faults }, events, scanMs: 1, sourceBytesMax: 1000 }),
    /** An intake that stops working after a given number of calls. */
    newKilledIntake: (killed: KilledAfter): Intake =>
      new Intake({
        ...control,
        blobs: killed.watch(blobs, ['copy', 'put', 'remove']),
        ledger: killed.watch(control.ledger, ['open', 'resolve']),
        steps: killed.watch(control.steps, ['add']),
        events: killed.watch(events, ['remove']),
        scanMs: 1,
        sourceBytesMax: 1000,
      }),
    /** Handles every event, then scans. */
    async scan(intake?: Intake): Promise<void> {
      const scanning = intake ?? this.newIntake();
      control.clock.advance(1000);
      await passUntilRest(() => scanning.pass());
    },
    async statusOf(jobId: string): Promise<JobStatus | undefined> {
      const bytes = await blobs.get('results', statusBlob(jobId));
      return bytes && jobStatus.parse(JSON.parse(String(bytes)));
    },
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  };
}
export type IntakeFixture = Awaited<ReturnType<typeof startIntakeFixture>>;
