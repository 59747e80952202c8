/** The answers of the fake Azure Resource Manager, with Azure's own texts. PURE. */

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export const ok = (body: unknown): Answer => ({ status: 200, body });

export const failure = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error: { code, message } },
});

export const notFound = (what: string): Answer =>
  failure(404, 'ResourceNotFound', `The Resource '${what}' was not found.`);

export const preconditionFailed: Answer = failure(
  412,
  'PreconditionFailed',
  "The condition specified using HTTP conditional header(s) is not met: the 'If-Match' header does not match the ETag of the resource.",
);

export const busy = (name: string): Answer =>
  failure(
    409,
    'OperationNotAllowed',
    `Operation 'Update' is not allowed on VM Scale Set '${name}' since another operation is in progress.`,
  );

export const forbidden: Answer = failure(
  403,
  'AuthorizationFailed',
  "The client '00000000-0000-0000-0000-000000000000' with object id '00000000-0000-0000-0000-000000000000' does not have authorization to perform action 'Microsoft.Compute/virtualMachineScaleSets/write' or the scope is invalid.",
);

export function throttled(target: string, retryAfterSeconds: number): Answer {
  const details = {
    operationGroup: target,
    startTime: '2026-11-23T00:00:00.000Z',
    endTime: '2026-11-23T00:05:00.000Z',
    allowedRequestCount: 12,
    measuredRequestCount: 31,
  };
  return {
    status: 429,
    headers: {
      'retry-after': String(retryAfterSeconds),
      'x-ms-ratelimit-remaining-resource': `Microsoft.Compute/${target};0`,
    },
    body: {
      error: {
        code: 'OperationNotAllowed',
        message: `The server rejected the request because too many requests have been received for this subscription.`,
        details: [{ code: 'TooManyRequests', target, message: JSON.stringify(details) }],
      },
    },
  };
}

export interface QuotaShortage {
  readonly quota: string;
  readonly location: string;
  readonly limit: number;
  readonly usage: number;
  readonly more: number;
}

export function quotaExceeded({ quota, location, limit, usage, more }: QuotaShortage): Answer {
  return failure(
    409,
    'OperationNotAllowed',
    `Operation could not be completed as it results in exceeding approved ${quota} quota. Additional details - Deployment Model: Resource Manager, Location: ${location}, Current Limit: ${limit}, Current Usage: ${usage}, Additional Required: ${more}, (Minimum) New Limit Required: ${usage + more}.`,
  );
}

export const ALLOCATION_FAILED = {
  code: 'AllocationFailed',
  message:
    'Allocation failed. We do not have sufficient capacity for the requested VM size in this region. Read more about improving likelihood of allocation success at https://aka.ms/allocation-guidance',
};
export const PROVISIONING_TIMED_OUT = {
  code: 'OSProvisioningTimedOut',
  message:
    'OS Provisioning for VM did not finish in the allotted time. The VM may still finish provisioning successfully. Please check provisioning state later.',
};
