import { expect, test } from 'vitest';

import { quoteCommands } from '../../../shared/runtime/quote-commands.ts';

test.each([
  ['npm run enqueue holiday.mp4', 'framefleet enqueue holiday.mp4'],
  ['npm run enqueue VIDEO -- [options]', 'framefleet enqueue VIDEO [options]'],
  ['npm run enqueue holiday.mp4 -- --out a.mp4', 'framefleet enqueue holiday.mp4 --out a.mp4'],
  ['npm run enqueue -- -- -odd-name.mp4', 'framefleet enqueue -- -odd-name.mp4'],
  ['npm run --silent poison -- list --json', 'framefleet poison list --json'],
  ['npm start', 'framefleet start'],
  ['`npm start` or `npm run fetch -- JOB`.', '`framefleet start` or `framefleet fetch JOB`.'],
  [
    'Usage: npm run cap -- JOB. Help: npm run cap -- --help',
    'Usage: framefleet cap JOB. Help: framefleet cap --help',
  ],
  ['Run npm run doctor. Add -- before the name.', 'Run framefleet doctor. Add -- before the name.'],
  ['a line\nnpm run scale\nb -- c', 'a line\nframefleet scale\nb -- c'],
])('quoteCommands rewrites %j for a user of framefleet', (text, expected) => {
  expect(quoteCommands(text, 'framefleet')).toBe(expected);
  expect(quoteCommands(text, 'npx framefleet')).toBe(expected.replaceAll('framefleet', 'npx framefleet'));
  expect(quoteCommands(text, 'npm')).toBe(text);
});
