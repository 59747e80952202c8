/**
 * Structured logs: JSON lines on standard output. A log line is a constant sentence and fields.
 *
 * Errors are logged with code and cause under `error`. The level is the caller's, from its room's config.
 */
import { type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';

export type Log = Logger;

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function createLog({ room, level }: { readonly room: string; readonly level: LogLevel }): Log {
  return pino({
    level,
    base: { room },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: stdSerializers.errWithCause },
  });
}
