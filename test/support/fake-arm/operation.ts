/** A long-running operation: what it is asked, and how it ended. */
export interface OperationError {
  readonly code: string;
  readonly message: string;
}

export interface Operation {
  readonly id: string;
  readonly kind: 'raise' | 'delete';
  readonly startedAtMs: number;
  /** Those it makes or deletes. */
  readonly instanceIds: ReadonlySet<string>;
  /** What it is going to fail with, whatever else it does. */
  readonly doomedBy: OperationError | null;
  status: 'InProgress' | 'Succeeded' | 'Failed';
  error: OperationError | null;
}

export function operationBody({ id, status, error, startedAtMs }: Operation) {
  return {
    name: id,
    startTime: new Date(startedAtMs).toISOString(),
    status,
    ...(error === null ? {} : { error }),
  };
}
