/**
 * The machines, as the scaler sees them. Two implementations are meant to stand behind it: a scale set on Azure, and worker
 * processes on this machine. Both are asked, never assumed: what `list` says is the truth.
 */
export interface Instance {
  /** Unique for ever: an id is never used again. Names the instance's heartbeat and drain request. */
  readonly vmId: string;
  readonly startedAt: Date;
}

export interface Fleet {
  /** Every instance there is, booting or at work. Throws where it cannot be known. */
  list(): Promise<readonly Instance[]>;
  /** Raises the capacity to a total, in one call. Never lowers it. */
  scaleOut(total: number): Promise<void>;
  /** Removes named instances. They get their notice and a moment to release what they hold. */
  remove(vmIds: readonly string[]): Promise<void>;
}
