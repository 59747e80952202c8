/** The doctor’s findings on refused queries and retired VM sizes. `test/integration/infra/doctor-azure.test.ts` tests the rest. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { PROVIDERS } from '../../../infra/doctor/azure/judge-providers.ts';
import { judgeRefusal } from '../../../infra/doctor/azure/judge-refusal.ts';
import { judgeSize } from '../../../infra/doctor/azure/judge-size.ts';
import { findingLine } from '../../support/finding-line.ts';

describe('Azure', () => {
  const query = { action: 'read the scale set gpu', role: 'Reader', isRequired: true };
  const refusal = (status: number | null, code: string | null) => ({ status, code, message: 'Sorry.' });

  test.each<[number | null, string | null, RegExp]>([
    [401, 'AuthenticationFailed', /^error x: .*you are not logged in/],
    [null, 'NoIdentity', /^error x: .*you are not logged in/],
    [403, 'AuthorizationFailed', /^error x: .*you do not have permission \| .*the role Reader\./],
    [404, 'SubscriptionNotFound', /^error x: .*the subscription does not exist/],
    [404, 'ResourceGroupNotFound', /^error x: .*it does not exist \| Create it/],
    [
      409,
      'MissingSubscriptionRegistration',
      /^error x: .* \| Register it: az provider register --namespace Microsoft\.Compute/,
    ],
    [
      400,
      'NoRegisteredProviderFound',
      /^error x: .*the region does not exist \| .*az account list-locations/,
    ],
    [429, 'OperationNotAllowed', /^warning x: .*Azure returned 429 OperationNotAllowed \|/],
    [503, null, /^warning x: .*Azure returned 503 \|/],
    [null, 'ENOTFOUND', /^warning x: .*Azure did not respond \(Sorry\.\) \|/],
  ])('refusal with status %j and code %s is explained', (status, code, expected) => {
    expect(findingLine(judgeRefusal('x', query, refusal(status, code)))).toMatch(expected);
  });

  test('refusal due to missing access is a warning for a deployed fleet, and a missing resource is an error', () => {
    for (const code of ['AuthorizationFailed', 'SubscriptionNotFound', 'NoIdentity'])
      expect(judgeRefusal('x', { ...query, isRequired: false }, refusal(403, code)).verdict).toBe('warning');
    expect(judgeRefusal('x', { ...query, isRequired: false }, refusal(404, 'ResourceNotFound')).verdict).toBe(
      'error',
    );
  });

  test.each(['Standard_NC6', 'Standard_NC12_Promo', 'Standard_NC24rs_v2', 'standard_nc6s_v3'])(
    'retired size %s is reported with its successors',
    (size) => {
      const line = findingLine(judgeSize({ size, zones: [] }, 'eastus', []));
      expect(line).toMatch(/^error size: .*retired.* \| .*Standard_NC40ads_H100_v5/);
    },
  );

  test('doctor and Terraform use the same resource providers and retired sizes', () => {
    const versions = readFileSync('infra/terraform/versions.tf', 'utf8');
    const [, list = ''] = /resource_providers_to_register = \[([^\]]+)\]/.exec(versions) ?? [];
    expect([...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name)).toEqual([...PROVIDERS]);
    const sizes = readFileSync('infra/terraform/sizes.tf', 'utf8');
    const judge = readFileSync('infra/doctor/azure/judge-size.ts', 'utf8');
    for (const [, pattern = ''] of sizes.matchAll(/retired_\w+ += "([^"]+)"/g))
      expect(judge).toContain(`/${pattern}/i`);
  });
});
