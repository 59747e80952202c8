/**
 * Lists the commands of this project and runs one of them: `framefleet enqueue holiday.mp4`. The command runs in this process,
 * with the arguments behind its name, exactly as its npm script runs it. Started by the shell script beside this file.
 */
import { readFileSync } from 'node:fs';

import { print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';
import { setLauncher } from '../../shared/runtime/quote-commands.ts';
import { COMMAND_GROUPS, SHARED_PROGRAMS, findCommand } from './commands.ts';
import { launcherOfUser } from './config.ts';

const HELP = new Set(['help', '--help', '-h']);

const launcher = launcherOfUser();
setLauncher(launcher);
const [first, second] = process.argv.slice(2);
const asksForHelp = first !== undefined && HELP.has(first);
const named = findCommand(asksForHelp ? second : first);
if (named === undefined) {
  await runCommand([], () => Promise.resolve(withoutCommand()));
} else {
  const name = SHARED_PROGRAMS.has(named.program) ? [named.name] : [];
  process.argv.splice(2, Infinity, ...name, ...(asksForHelp ? ['--help'] : process.argv.slice(3)));
  await import(new URL(`../../${named.program}`, import.meta.url).href);
}

function withoutCommand(): number {
  const hint = `List all commands with: ${launcher} --help`;
  if (first === undefined) throw new PermanentError('USAGE', 'No command given.', { hint });
  if (first === '--version') print(version());
  else if (asksForHelp && second === undefined) print(helpText());
  else {
    const name = asksForHelp ? second : first;
    throw new PermanentError('USAGE', `Unknown command '${name}'.`, { hint });
  }
  return EXIT.ok;
}

function helpText(): string {
  const list = COMMAND_GROUPS.flatMap(({ title, commands }) => [
    '',
    `${title}:`,
    ...commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`),
  ]);
  return [
    `Usage: ${launcher} COMMAND [arguments] [options]`,
    '',
    'Runs a deep-learning model over every frame of a video, on GPUs that cost nothing while idle.',
    ...list,
    '',
    'Options:',
    `  -h, --help  print this help; ${launcher} COMMAND --help prints the help of a command`,
    '  --version   print the version',
    '',
    'Examples:',
    `  ${launcher} enqueue holiday.mp4`,
    `  ${launcher} enqueue holiday.mp4 --style great-wave --out painted.mp4`,
    `  ${launcher} enqueue -- -odd-name.mp4   a name that starts with a dash`,
  ].join('\n');
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
