/** The page's server without a network: requests are injected. Its storage is never reached. */
import { tmpdir } from 'node:os';
import path from 'node:path';

import { JobFolders } from '../../producer/jobs/job-folders.ts';
import { JobIndex } from '../../producer/page/job-index.ts';
import { createPage } from '../../producer/page/server.ts';
import type { PageSignIn } from '../../producer/page/sign-in.ts';
import { openBlobStore } from '../../shared/azure/blob-store.ts';
import { BRISK } from '../../shared/azure/credentials.ts';
import { JobTimes } from '../../shared/redis/job-times.ts';
import { Ledger } from '../../shared/redis/ledger.ts';
import type { Http } from '../../shared/runtime/http.ts';
import { MovableClock } from './movable-clock.ts';
import { silentLog } from './silent-log.ts';

export const PAGE_TOKEN = 'correct-horse-battery-staple';
/** Each process has its own folder in it, and removes those of processes that have ended. */
const WORK_FOLDER = path.join(tmpdir(), 'framefleet-test-page');
export const OWN_HEADERS = { host: '127.0.0.1:8080', 'sec-fetch-site': 'same-origin' };

export interface TestPage {
  readonly http: Http;
  readonly clock: MovableClock;
  /** Signs in. Returns the headers of a signed-in page. */
  readonly signIn: () => Promise<Readonly<Record<string, string>>>;
}

export async function openTestPage({
  signIn = { mode: 'token', token: PAGE_TOKEN },
  hosts = [],
}: { readonly signIn?: PageSignIn; readonly hosts?: readonly string[] } = {}): Promise<TestPage> {
  const clock = new MovableClock();
  const blobs = await openBlobStore({ media: null, system: null }, BRISK);
  const index = new JobIndex({ blobs, clock });
  const { http } = await createPage({
    blobs,
    folders: await JobFolders.open({ workFolder: WORK_FOLDER, workBytesMax: 1e9, blobs }),
    sourceLimits: { framesMax: 1000, durationSecondsMax: 100, pixelsMax: 1e6 },
    // No test of this page reaches Redis.
    ledger: new Ledger(undefined as never),
    times: new JobTimes(undefined as never),
    index,
    signIn,
    hosts,
    scaler: null,
    clock,
    log: silentLog,
    signal: new AbortController().signal,
  });
  return {
    http,
    clock,
    signIn: async () => {
      const answer = await http.inject({
        method: 'POST',
        url: '/api/session',
        headers: OWN_HEADERS,
        payload: { token: PAGE_TOKEN },
      });
      const cookie = String(answer.headers['set-cookie']).split(';')[0] ?? '';
      return { ...OWN_HEADERS, cookie };
    },
  };
}
