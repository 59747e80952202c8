/** A long-running operation and its result. */
export interface OperationError {
  readonly code: string;
  readonly message: string;
}

export interface ArmOperation {
  readonly id: string;
  readonly kind: 'raise' | 'delete';
  readonly startedAtMs: number;
  /** Machines that it creates or deletes. */
  readonly instanceIds: ReadonlySet<string>;
  /** The error that it ends with. Null: it can succeed. */
  readonly plannedError: OperationError | null;
  status: 'InProgress' | 'Succeeded' | 'Failed';
  error: OperationError | null;
}

export function operationBody({ id, status, error, startedAtMs }: ArmOperation) {
  return {
    name: id,
    startTime: new Date(startedAtMs).toISOString(),
    status,
    ...(error === null ? {} : { error }),
  };
}
