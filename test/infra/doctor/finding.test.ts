/** How findings are said. */
import { expect, test } from 'vitest';

import { findingText, summary } from '../../../infra/doctor/finding.ts';
import type { Finding } from '../../../shared/contract/finding.ts';

test('a finding is a line, with what to do on the next, and all of them are counted', () => {
  const findings: Finding[] = [
    { topic: 'disk', verdict: 'right', says: '50 GiB free' },
    { topic: 'redis', verdict: 'wrong', says: 'not installed', todo: 'Install it.' },
  ];
  expect(findings.map(findingText).join('\n')).toBe(
    'right    disk      50 GiB free\nwrong    redis     not installed\n                   Install it.',
  );
  expect(summary(findings)).toBe('1 wrong, 0 warnings, 1 right.');
});
