/**
 * The ledger's keys and its atomic updates, as Lua scripts. Each one is idempotent or returns whether it changed anything.
 *
 * The keys of a job: a hash of fields; `:resolved`, a bit per frame that is scored or has finally failed; `:failures`, a hash
 * from frame to reason; `:underway`, a hash from batch to the frames that are scored and not stored yet; `:dispatched`, the batches on the queue by the time of their last progress; `:again`, the batches to
 * send again; `:times` and `:workers`, see `job-times.ts`.
 */

/** All keys of a job, the hash of its fields first. */
export function keysOf(jobId: string): string[] {
  return [
    '',
    'resolved',
    'dispatched',
    'again',
    'failures',
    'warnings',
    'delayed',
    'underway',
    'times',
    'workers',
  ].map((part) => jobKey(jobId, part));
}

export function jobKey(jobId: string, part = ''): string {
  return part === '' ? `framefleet:job:${jobId}` : `framefleet:job:${jobId}:${part}`;
}

/**
 * Opens a job unless it is known, and removes what late updates of an earlier job left. KEYS open, then the job's. ARGV jobId,
 * definition, epoch, the number of its split. Returns 1 if it was new, else 0.
 */
export const OPEN = `
if redis.call('HEXISTS', KEYS[2], 'definition') == 1 then return 0 end
redis.call('DEL', unpack(KEYS, 2))
redis.call('HSET', KEYS[2], 'definition', ARGV[2], 'state', 'waiting', 'splitNumber', ARGV[4])
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1`;

/**
 * Closes a job that is in a terminal state. KEYS open, then the job's. ARGV jobId, epoch, seconds until it is forgotten, then
 * the terminal states. Returns 1 or 0.
 */
export const CLOSE = `
local fields = redis.call('HMGET', KEYS[2], 'state', 'definition')
if not fields[2] or cjson.decode(fields[2]).epoch ~= tonumber(ARGV[2]) then return 0 end
for i = 4, #ARGV do
  if ARGV[i] == fields[1] then
    for key = 2, #KEYS do redis.call('EXPIRE', KEYS[key], ARGV[3]) end
    return redis.call('ZREM', KEYS[1], ARGV[1])
  end
end
return 0`;

/** Forgets a job that is not open. KEYS open, then the job's. ARGV jobId. Returns 0 if it is open, else 1. */
export const FORGET = `
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('DEL', unpack(KEYS, 2))
return 1`;

/**
 * Moves a job to another state. KEYS job. ARGV epoch (or '' for any), the new state, then pairs of fields to set, then '--',
 * then the states from which the move is allowed. Returns 1 or 0.
 */
export const MOVE = `
local from = redis.call('HGET', KEYS[1], 'state')
if not from then return 0 end
if ARGV[1] ~= '' and cjson.decode(redis.call('HGET', KEYS[1], 'definition')).epoch ~= tonumber(ARGV[1]) then return 0 end
local separator = 3
while ARGV[separator] ~= '--' do separator = separator + 1 end
for i = separator + 1, #ARGV do
  if ARGV[i] == from then
    redis.call('HSET', KEYS[1], 'state', ARGV[2])
    for field = 3, separator - 1, 2 do redis.call('HSET', KEYS[1], ARGV[field], ARGV[field + 1]) end
    return 1
  end
end
return 0`;

/** Sets fields of a job unless it has ended or another split has begun. KEYS job. ARGV split, then pairs of fields. Returns 1 or 0. */
export const RECORD_SPLIT = `
local fields = redis.call('HMGET', KEYS[1], 'splitNumber', 'state')
if fields[1] ~= ARGV[1] or (fields[2] ~= 'waiting' and fields[2] ~= 'running') then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1`;

/**
 * Begins the next split of a running job: forgets all frames, whose numbers may change. KEYS job, resolved, dispatched, again,
 * failures, delayed, underway. ARGV epoch, the present split. Returns 1, or 0 if the job has ended, was opened again or is further on.
 */
export const SPLIT_AGAIN = `
local fields = redis.call('HMGET', KEYS[1], 'state', 'splitNumber', 'definition')
if fields[1] ~= 'running' or fields[2] ~= ARGV[2] then return 0 end
if cjson.decode(fields[3]).epoch ~= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', unpack(KEYS, 2))
redis.call('HDEL', KEYS[1], 'batchSize', 'framesExpected', 'framesSplit', 'splitFinished', 'nextBatch',
  'framesScored', 'framesFailed', 'framesStitched', 'scoringSinceMs')
redis.call('HINCRBY', KEYS[1], 'splitNumber', 1)
return 1`;

/**
 * Claims the next batch that has unresolved frames. KEYS job, resolved, dispatched, again. ARGV nowMs, split.
 * Returns its index and its frames [start, end), or nothing.
 */
export const CLAIM = `
local fields = redis.call('HMGET', KEYS[1], 'state', 'batchSize', 'splitNumber', 'framesSplit', 'splitFinished', 'nextBatch')
if fields[1] ~= 'running' or not fields[2] or fields[3] ~= ARGV[2] then return {} end
local size, split = tonumber(fields[2]), tonumber(fields[4] or 0)
local nextBatch = tonumber(fields[6] or 0)
local ready = math.floor(split / size)
if fields[5] == '1' then ready = math.ceil(split / size) end
while true do
  local batch = tonumber(redis.call('LPOP', KEYS[4]) or -1)
  if batch == -1 then
    if nextBatch >= ready then return {} end
    batch = nextBatch
    nextBatch = nextBatch + 1
    redis.call('HSET', KEYS[1], 'nextBatch', nextBatch)
  end
  local frameEnd = math.min((batch + 1) * size, split)
  for frame = batch * size, frameEnd - 1 do
    if redis.call('GETBIT', KEYS[2], frame) == 0 then
      redis.call('ZADD', KEYS[3], ARGV[1], batch)
      redis.call('HSET', KEYS[1], 'lastDispatchedAt', ARGV[1])
      return {batch, batch * size, frameEnd}
    end
  end
end`;

/**
 * Marks frames as scored or failed. KEYS job, resolved, dispatched, failures, underway. ARGV nowMs, batch (or -1), scored ranges as
 * JSON, failed groups as JSON [{reason, frames}], split, frames underway. Returns the number of newly scored frames, how many of them had failed before, and
 * then the number of newly failed frames per group. Does nothing for a closed job, or for another split of it.
 */
export const RESOLVE = `
if redis.call('HEXISTS', KEYS[1], 'definition') == 0 or redis.call('TTL', KEYS[1]) >= 0 then return {0, 0} end
if redis.call('HGET', KEYS[1], 'splitNumber') ~= ARGV[5] then return {0, 0} end
local scored, corrected, failed = 0, 0, 0
local answer = {}
for _, range in ipairs(cjson.decode(ARGV[3])) do
  for frame = range[1], range[2] - 1 do
    if redis.call('SETBIT', KEYS[2], frame, 1) == 0 then scored = scored + 1
    elseif redis.call('HDEL', KEYS[4], frame) == 1 then scored = scored + 1; corrected = corrected + 1 end
  end
end
for number, group in ipairs(cjson.decode(ARGV[4])) do
  local before = failed
  for _, range in ipairs(group.frames) do
    for frame = range[1], range[2] - 1 do
      if redis.call('SETBIT', KEYS[2], frame, 1) == 0 then
        failed = failed + 1
        redis.call('HSET', KEYS[4], frame, group.reason)
      end
    end
  end
  answer[number + 2] = failed - before
end
answer[1] = scored
answer[2] = corrected
if scored ~= 0 then redis.call('HINCRBY', KEYS[1], 'framesScored', scored) end
if failed ~= corrected then redis.call('HINCRBY', KEYS[1], 'framesFailed', failed - corrected) end
if scored > 0 then redis.call('HSETNX', KEYS[1], 'scoringSinceMs', ARGV[1]) end
local batch = tonumber(ARGV[2])
redis.call('HDEL', KEYS[5], batch)
if batch >= 0 and redis.call('ZSCORE', KEYS[3], batch) then
  local fields = redis.call('HMGET', KEYS[1], 'batchSize', 'framesSplit')
  local size = tonumber(fields[1])
  for frame = batch * size, math.min((batch + 1) * size, tonumber(fields[2])) - 1 do
    if redis.call('GETBIT', KEYS[2], frame) == 0 then
      if scored > 0 then redis.call('ZADD', KEYS[3], ARGV[1], batch) end
      if ARGV[6] ~= '0' then redis.call('HSET', KEYS[5], batch, ARGV[6]) end
      return answer
    end
  end
  redis.call('ZREM', KEYS[3], batch)
end
return answer`;

/** Sets fields of an open job. KEYS job. ARGV pairs of fields. Returns 0 if the job is not open, else 1. */
export const SET_OPEN = `
if redis.call('HEXISTS', KEYS[1], 'definition') == 0 or redis.call('TTL', KEYS[1]) >= 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1`;

/** Marks batches without recent progress to be sent again. KEYS dispatched, again. ARGV up to which time. Returns their number. */
export const REQUEUE_STALE = `
local stale = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
for _, batch in ipairs(stale) do
  redis.call('ZREM', KEYS[1], batch)
  redis.call('RPUSH', KEYS[2], batch)
end
return #stale`;
