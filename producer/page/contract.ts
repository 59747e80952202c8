/**
 * What the page and its server say to each other: the bodies of `/api/*` as JSON, and the events of `/api/events`. Types only; both sides
 * import it. Times are ISO 8601 in UTC, durations are in seconds, money is in the currency of the scaler's prices.
 *
 * POST /api/session                  204               body { token }; DELETE signs out. Not on Azure, where the platform does both
 * GET  /api/me                       Me
 * GET  /api/jobs                     JobsPage          ?states=running,waiting &search= &before=<jobId> &limit=
 * GET  /api/jobs/:id                 JobDetail
 * GET  /api/jobs/:id/failed          FailedFrameSummary[]     ?from= &limit=
 * GET  /api/jobs/:id/frames/:n       JPEG              a source frame, as decoded
 * GET  /api/jobs/:id/thumbnail       JPEG              of the latest contact sheet, else of the source's first frame
 * GET  /api/jobs/:id/sheet           ContactSheet      which cells it has; the pictures follow as
 * GET  /api/jobs/:id/sheet/:side/:n  JPEG              side: before | after
 * GET  /api/jobs/:id/result          the result        answers Range, so that a player can seek; ?download=1 saves it
 * POST /api/jobs/:id/cancel          JobSummary        body { keepScored: boolean }
 * POST /api/jobs/:id/pause|resume|retry|clean          JobSummary
 * PUT  /api/jobs/:id/priority        JobSummary        body { priority }
 * POST /api/uploads                  Upload            body [{ name, sizeBytes }, …]
 * PUT  <url of a file>/<part>        204               the bytes as application/octet-stream, parts from 0 on. The last one completes the file
 * DELETE /api/uploads/:id            204               removes what is stored of it
 * DELETE <url of a file>             204               takes one of several images out; the next ones move up
 * POST /api/uploads/:id/styles       StylePictures     body { model }: each style on the upload's first frame
 * GET  /api/uploads/:id/styles/:n    JPEG
 * POST /api/estimates                Estimate          body NewJob
 * POST /api/jobs                     JobSummary        body NewJob
 * GET  /api/models                   Model[]
 * GET  /api/fleet                    FleetNow
 * GET  /api/fleet/history            FleetHistory      ?hours=
 * GET  /api/explain                  Explanation       with the what-if of the scaler's API in the query
 * PUT  /api/override                 FleetNow          body { mode, capacity?, ttlSeconds, reason }
 * DELETE /api/override               FleetNow          body { reason }
 * GET  /api/events                   server-sent events ?job=<id>: `jobs` JobSummary[] (those that changed), `gone` string[] (jobs that were
 *                                    removed), `job` JobDetail, `fleet` FleetNow
 *
 * Errors: status 4xx or 5xx and ApiError.
 */
import type { JobState, Priority } from '../../shared/contract/job.ts';

export interface ApiError {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}

export interface Me {
  /** On Azure the name of the signed-in person; null on a local fleet. */
  readonly name: string | null;
  readonly version: string;
  /** False where the producer is not told the scaler's address: then no fleet, no override. */
  readonly hasScaler: boolean;
  /** False if the scaler knows no prices: then every amount is 0. Prices have no unit: they are in any one currency. */
  readonly hasPrices: boolean;
}

export interface JobSummary {
  readonly jobId: string;
  readonly sourceName: string;
  readonly kind: 'video' | 'images';
  readonly state: JobState;
  /** `splitting`, `scoring`, `joining`, `paused`, `held`, or the state. */
  readonly doing: string;
  readonly model: string;
  /** The style and other parameters in words; empty for none. */
  readonly settings: string;
  readonly priority: Priority;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly frames: {
    readonly expected: number;
    readonly split: number;
    readonly scored: number;
    readonly failed: number;
    readonly underway: number;
  };
  readonly secondsLeft: number | null;
  readonly spent: number;
  readonly resultBytes: number | null;
  /** Changes whenever the thumbnail does, for the browser's cache. */
  readonly thumbnailVersion: string;
}

export interface JobsPage {
  readonly jobs: readonly JobSummary[];
  /** For `before` of the next page; null at the end. */
  readonly next: string | null;
  readonly total: number;
  /** Older jobs that the server has listed but not read yet: a filter misses them. 0 soon after the start of the producer. */
  readonly unread: number;
}

export interface JobStage {
  readonly name: 'waiting' | 'splitting' | 'scoring' | 'joining';
  readonly from: string;
  /** Null while it lasts. Stages overlap. */
  readonly to: string | null;
}

export interface JobDetail extends JobSummary {
  readonly waitsFor: string | null;
  readonly warnings: readonly string[];
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
  readonly stages: readonly JobStage[];
  readonly sheet: ContactSheet | null;
  /** What may be done now. */
  readonly actions: readonly ('cancel' | 'pause' | 'resume' | 'priority' | 'retry' | 'clean')[];
  readonly result: {
    readonly name: string;
    readonly sizeBytes: number;
    readonly contentType: string;
    readonly isPlayable: boolean;
  } | null;
}

export interface ContactSheet {
  readonly version: string;
  /** The frame indices of the cells. */
  readonly frames: readonly number[];
  readonly width: number;
  readonly height: number;
}

export interface FailedFrameSummary {
  readonly frameIndex: number;
  /** Of still images. */
  readonly name: string | null;
  readonly kind: string;
  readonly message: string;
  readonly attempts: number;
}

export interface Upload {
  readonly id: string;
  /** Of each part of a file but the last. */
  readonly partBytes: number;
  readonly files: readonly { readonly name: string; readonly url: string }[];
}

export interface StylePictures {
  readonly width: number;
  readonly height: number;
  /** Why no pictures are made, and no url will come: then styles are chosen by name. Null if pictures are made. */
  readonly trouble: string | null;
  /** In the order of the model's manifest. `url` is null while it is being made. */
  readonly styles: readonly { readonly name: string; readonly title: string; readonly url: string | null }[];
}

export interface NewJob {
  readonly uploadId: string;
  readonly model: string;
  /** By name of the parameter; for the painter `{ "style": "starry-night:2,candy" }`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly priority: Priority;
}

export interface Estimate {
  readonly kind: JobSummary['kind'];
  readonly frames: number;
  readonly gpuSeconds: number;
  /** By number of machines. */
  readonly wallSeconds: readonly {
    readonly machines: number;
    readonly seconds: number;
    readonly money: number | null;
  }[];
  /** What the figures rest on, in one sentence. */
  readonly basis: string;
}

export interface Model {
  readonly name: string;
  readonly version: string;
  readonly result: 'picture' | 'numbers';
  readonly styles: readonly string[];
  readonly isDefault: boolean;
}

export interface FleetNow {
  readonly at: string;
  readonly framesPerSecond: number | null;
  readonly framesLeft: number | null;
  /** By phase: creating, starting, working, idle, draining, deleting … as the scaler names them. */
  readonly machines: Readonly<Record<string, number>>;
  readonly capacityDesired: number | null;
  readonly capacityMax: number | null;
  readonly moneyPerHour: number | null;
  readonly override: {
    readonly mode: string;
    readonly capacity: number | null;
    readonly author: string;
    readonly reason: string;
    readonly endsAt: string;
  } | null;
  /** The last decision in one sentence. */
  readonly reason: string | null;
}

export interface FleetHistory {
  readonly stepSeconds: number;
  /** Unix seconds. The other lists have a value for each; null where nothing is known. */
  readonly at: readonly number[];
  readonly framesPerSecond: readonly (number | null)[];
  readonly framesLeft: readonly (number | null)[];
  readonly moneyPerHour: readonly (number | null)[];
  readonly machines: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface Explanation {
  readonly at: string;
  readonly reason: string;
  readonly capacityDesired: number;
  readonly words: readonly string[];
  readonly blockers: readonly string[];
  readonly next: string | null;
}
