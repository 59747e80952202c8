/** Every command of this project, by task: the list behind `framefleet --help` and the completion of command lines. */

export interface ProjectCommand {
  readonly name: string;
  readonly program: string;
  readonly summary: string;
  /** Where its command line is described: a file, and the function in it that parses the command line. Null if it has no options. */
  readonly parser: readonly [file: string, name: string] | null;
}

interface CommandGroup {
  readonly title: string;
  readonly commands: readonly ProjectCommand[];
}

const JOBS = 'producer/cli/jobs.ts';
const JOB_CONTROL = 'producer/cli/job-control.ts';
const LOOK = ['producer/cli/jobs/options.ts', 'parseLookOptions'] as const;
const CONTROL = ['producer/cli/job-control/options.ts', 'parseControlOptions'] as const;
/** Programs that run several commands: the name is their first argument. */
export const SHARED_PROGRAMS = new Set([JOBS, JOB_CONTROL]);

export const COMMAND_GROUPS: readonly CommandGroup[] = [
  {
    title: 'Run jobs',
    commands: [
      {
        name: 'enqueue',
        program: 'producer/cli/enqueue.ts',
        summary: 'run a model over every frame of a video',
        parser: ['producer/cli/enqueue/options.ts', 'parseEnqueueOptions'],
      },
      {
        name: 'estimate',
        program: 'producer/cli/estimate.ts',
        summary: 'print GPU hours, cost and time of a job before the upload',
        parser: ['producer/cli/estimate/options.ts', 'parseEstimateOptions'],
      },
      {
        name: 'fetch',
        program: 'producer/cli/fetch.ts',
        summary: 'download the result of a finished job',
        parser: ['producer/cli/fetch/options.ts', 'parseFetchOptions'],
      },
      {
        name: 'verify',
        program: 'producer/cli/verify.ts',
        summary: 'compare a result with its source',
        parser: ['producer/cli/verify/options.ts', 'parseVerifyOptions'],
      },
      {
        name: 'cap',
        program: 'producer/cli/cap.ts',
        summary: 'change the spending cap of a job',
        parser: ['producer/cli/cap/options.ts', 'parseCapOptions'],
      },
    ],
  },
  {
    title: 'See jobs',
    commands: [
      { name: 'jobs', program: JOBS, summary: 'list jobs, the newest first', parser: LOOK },
      {
        name: 'status',
        program: JOBS,
        summary: 'show a job: progress, what it waits for, failures, cost',
        parser: LOOK,
      },
      {
        name: 'watch',
        program: JOBS,
        summary: 'follow a job, or all open jobs in a live table',
        parser: LOOK,
      },
      { name: 'logs', program: JOBS, summary: 'print what became of each frame of a job', parser: LOOK },
    ],
  },
  {
    title: 'Steer jobs',
    commands: [
      {
        name: 'pause',
        program: JOB_CONTROL,
        summary: 'hold a job; it costs nothing meanwhile',
        parser: CONTROL,
      },
      { name: 'resume', program: JOB_CONTROL, summary: 'let a paused job go on', parser: CONTROL },
      { name: 'priority', program: JOB_CONTROL, summary: 'change the priority of a job', parser: CONTROL },
      { name: 'cancel', program: JOB_CONTROL, summary: 'end a job without a result', parser: CONTROL },
      {
        name: 'retry',
        program: JOB_CONTROL,
        summary: 'run what failed or is missing, and join again',
        parser: CONTROL,
      },
      {
        name: 'clean',
        program: JOB_CONTROL,
        summary: 'remove what is stored of an ended job',
        parser: CONTROL,
      },
    ],
  },
  {
    title: 'Operate the fleet',
    commands: [
      {
        name: 'start',
        program: 'infra/local/main.ts',
        summary: 'keep a fleet up on this machine',
        parser: null,
      },
      {
        name: 'scale',
        program: 'scaler/cli/scale.ts',
        summary: 'override the number of instances for a while',
        parser: ['scaler/cli/scale-options.ts', 'parseScaleOptions'],
      },
      {
        name: 'explain',
        program: 'scaler/cli/explain.ts',
        summary: 'explain the size of the fleet',
        parser: ['scaler/cli/explain-options.ts', 'parseExplainOptions'],
      },
    ],
  },
  {
    title: 'Use models of your own',
    commands: [
      {
        name: 'model',
        program: 'worker/cli/model.ts',
        summary: 'add an ONNX model to the fleet, list, test or remove models',
        parser: ['worker/cli/model/options.ts', 'parseModelOptions'],
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
        parser: ['infra/doctor/options.ts', 'parseOptions'],
      },
      {
        name: 'poison',
        program: 'producer/cli/poison.ts',
        summary: 'list, redrive or drop failed frames and messages',
        parser: ['producer/cli/poison/options.ts', 'parsePoisonOptions'],
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
        parser: ['producer/cli/share/options.ts', 'parseShareOptions'],
      },
    ],
  },
  {
    title: 'Set up the shell',
    commands: [
      {
        name: 'completion',
        program: 'infra/bin/completion.ts',
        summary: 'print a script that completes commands in bash or zsh',
        parser: ['infra/bin/completion/options.ts', 'parseCompletionOptions'],
      },
    ],
  },
];

export function findCommand(name: string | undefined): ProjectCommand | undefined {
  return COMMAND_GROUPS.flatMap(({ commands }) => commands).find((command) => command.name === name);
}
