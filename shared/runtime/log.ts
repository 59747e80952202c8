/**
 * Structured logs: JSON lines on standard output. A log line is a constant phrase and fields.
 *
 * Errors are logged under `error`, with code and cause. The log level is from the room's config.
 */
import { type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';

export type Log = Logger;

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  /** Logged with each line. */
  readonly room: string;
  readonly level: LogLevel;
}

export function createLog({ room, level }: LogOptions): Log {
  return pino({
    level,
    base: { room },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: stdSerializers.errWithCause },
  });
}
