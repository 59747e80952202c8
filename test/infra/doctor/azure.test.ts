/** What the doctor makes of Azure’s refusals and of sizes; the rest is in `test/integration/infra/doctor-azure.test.ts`. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { PROVIDERS } from '../../../infra/doctor/azure/judge-providers.ts';
import { judgeRefusal } from '../../../infra/doctor/azure/judge-refusal.ts';
import { judgeSize } from '../../../infra/doctor/azure/judge-size.ts';
import { findingLine } from '../../support/finding-line.ts';

describe('Azure', () => {
  const asked = { what: 'read the scale set gpu', needs: 'Reader', isAll: true };
  const refusal = (status: number | null, code: string | null) => ({ status, code, message: 'Sorry.' });

  test.each<[number | null, string | null, RegExp]>([
    [401, 'AuthenticationFailed', /^wrong x: .*you are not logged in/],
    [null, 'NoIdentity', /^wrong x: .*you are not logged in/],
    [403, 'AuthorizationFailed', /^wrong x: .*you may not \| .*the role Reader\./],
    [404, 'SubscriptionNotFound', /^wrong x: .*no such subscription/],
    [404, 'ResourceGroupNotFound', /^wrong x: .*it is not there \| Make it/],
    [
      409,
      'MissingSubscriptionRegistration',
      /^wrong x: .* \| az provider register --namespace Microsoft\.Compute/,
    ],
    [400, 'NoRegisteredProviderFound', /^wrong x: .*no such region \| .*az account list-locations/],
    [429, 'OperationNotAllowed', /^warning x: .*Azure answered 429 OperationNotAllowed \|/],
    [503, null, /^warning x: .*Azure answered 503 \|/],
    [null, 'ENOTFOUND', /^warning x: .*Azure does not answer \(Sorry\.\) \|/],
  ])('that answers %j %s', (status, code, expected) => {
    expect(findingLine(judgeRefusal('x', asked, refusal(status, code)))).toMatch(expected);
  });

  test('that does not tell somebody who is let into the storage only keeps no job from running', () => {
    for (const code of ['AuthorizationFailed', 'SubscriptionNotFound', 'NoIdentity'])
      expect(judgeRefusal('x', { ...asked, isAll: false }, refusal(403, code)).verdict).toBe('warning');
    expect(judgeRefusal('x', { ...asked, isAll: false }, refusal(404, 'ResourceNotFound')).verdict).toBe(
      'wrong',
    );
  });

  test.each(['Standard_NC6', 'Standard_NC12_Promo', 'Standard_NC24rs_v2', 'standard_nc6s_v3'])(
    'has retired %s, and it is said with its successors',
    (size) => {
      const said = findingLine(judgeSize({ size, location: 'eastus', zones: [], catalogue: [] }));
      expect(said).toMatch(/^wrong size: .*retired.* \| .*Standard_NC40ads_H100_v5/);
    },
  );

  test('is asked of the providers that Terraform registers, and retires the sizes that Terraform refuses', () => {
    const versions = readFileSync('infra/terraform/versions.tf', 'utf8');
    const [, list = ''] = /resource_providers_to_register = \[([^\]]+)\]/.exec(versions) ?? [];
    expect([...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name)).toEqual([...PROVIDERS]);
    const sizes = readFileSync('infra/terraform/sizes.tf', 'utf8');
    const judge = readFileSync('infra/doctor/azure/judge-size.ts', 'utf8');
    for (const [, pattern = ''] of sizes.matchAll(/retired_\w+ += "([^"]+)"/g))
      expect(judge).toContain(`/${pattern}/i`);
  });
});
