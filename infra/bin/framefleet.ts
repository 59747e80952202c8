/**
 * Lists the commands of this project and runs one of them: `framefleet enqueue holiday.mp4`. The command runs in this process,
 * with the arguments behind its name, exactly as its npm script runs it. Started by the shell script beside this file.
 */
import { readFileSync } from 'node:fs';

import { print, runCommand } from '../../shared/command/run-command.ts';
import { EXIT, PermanentError } from '../../shared/runtime/errors.ts';

interface ProjectCommand {
  readonly name: string;
  readonly program: string;
  readonly summary: string;
}

interface CommandGroup {
  readonly title: string;
  readonly commands: readonly ProjectCommand[];
}

const JOBS = 'producer/cli/jobs.ts';
const JOB_CONTROL = 'producer/cli/job-control.ts';
/** Programs that run several commands: the name is their first argument. */
const SHARED_PROGRAMS = new Set([JOBS, JOB_CONTROL]);

const GROUPS: readonly CommandGroup[] = [
  {
    title: 'Run jobs',
    commands: [
      {
        name: 'enqueue',
        program: 'producer/cli/enqueue.ts',
        summary: 'run a model over every frame of a video',
      },
      {
        name: 'estimate',
        program: 'producer/cli/estimate.ts',
        summary: 'print GPU hours, cost and time of a job before the upload',
      },
      { name: 'fetch', program: 'producer/cli/fetch.ts', summary: 'download the result of a finished job' },
      { name: 'verify', program: 'producer/cli/verify.ts', summary: 'compare a result with its source' },
      { name: 'cap', program: 'producer/cli/cap.ts', summary: 'change the spending cap of a job' },
    ],
  },
  {
    title: 'See jobs',
    commands: [
      { name: 'jobs', program: JOBS, summary: 'list jobs, the newest first' },
      { name: 'status', program: JOBS, summary: 'show a job: progress, what it waits for, failures, cost' },
      { name: 'watch', program: JOBS, summary: 'follow a job, or all open jobs in a live table' },
      { name: 'logs', program: JOBS, summary: 'print what became of each frame of a job' },
    ],
  },
  {
    title: 'Steer jobs',
    commands: [
      { name: 'pause', program: JOB_CONTROL, summary: 'hold a job; it costs nothing meanwhile' },
      { name: 'resume', program: JOB_CONTROL, summary: 'let a paused job go on' },
      { name: 'priority', program: JOB_CONTROL, summary: 'change the priority of a job' },
      { name: 'cancel', program: JOB_CONTROL, summary: 'end a job without a result' },
      { name: 'retry', program: JOB_CONTROL, summary: 'run what failed or is missing, and join again' },
      { name: 'clean', program: JOB_CONTROL, summary: 'remove what is stored of an ended job' },
    ],
  },
  {
    title: 'Operate the fleet',
    commands: [
      { name: 'start', program: 'infra/local/main.ts', summary: 'keep a fleet up on this machine' },
      {
        name: 'scale',
        program: 'scaler/cli/scale.ts',
        summary: 'override the number of instances for a while',
      },
      { name: 'explain', program: 'scaler/cli/explain.ts', summary: 'explain the size of the fleet' },
    ],
  },
  {
    title: 'Use models of your own',
    commands: [
      {
        name: 'model',
        program: 'worker/cli/model.ts',
        summary: 'add an ONNX model to the fleet, list, test or remove models',
      },
    ],
  },
  {
    title: 'Troubleshoot',
    commands: [
      {
        name: 'doctor',
        program: 'infra/doctor/main.ts',
        summary: 'check that the fleet is ready to run a job',
      },
      {
        name: 'poison',
        program: 'producer/cli/poison.ts',
        summary: 'list, redrive or drop failed frames and messages',
      },
    ],
  },
  {
    title: 'Work with partners',
    commands: [
      {
        name: 'share',
        program: 'producer/cli/share.ts',
        summary: 'give a partner an address to upload videos to',
      },
    ],
  },
];
const HELP = new Set(['help', '--help', '-h']);

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

function findCommand(name: string | undefined): ProjectCommand | undefined {
  return GROUPS.flatMap(({ commands }) => commands).find((command) => command.name === name);
}

function withoutCommand(): number {
  const hint = 'List all commands with: framefleet --help';
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
  const list = GROUPS.flatMap(({ title, commands }) => [
    '',
    `${title}:`,
    ...commands.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`),
  ]);
  return [
    'Usage: framefleet COMMAND [arguments] [options]',
    '',
    'Runs a deep-learning model over every frame of a video, on GPUs that cost nothing while idle.',
    ...list,
    '',
    'Options:',
    '  -h, --help  print this help; framefleet COMMAND --help prints the help of a command',
    '  --version   print the version',
    '',
    'Examples:',
    '  framefleet enqueue holiday.mp4',
    '  framefleet enqueue holiday.mp4 --style great-wave --out painted.mp4',
    '  framefleet enqueue -- -odd-name.mp4   a name that starts with a dash',
  ].join('\n');
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
