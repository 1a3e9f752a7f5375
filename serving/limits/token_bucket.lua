-- Take tokens from a bucket (GCRA, the generic cell rate algorithm).
--
-- The key holds one number: the time at which the bucket will be full again, in microseconds since 1970 by the clock of
-- Redis, which all workers share. It expires when the bucket is full.
-- ARGV: microseconds per token, capacity of the bucket, wanted tokens, tokens without which none is taken.
-- Returns: granted tokens, tokens left in the bucket, microseconds until there are enough if none was granted.
local per_token, capacity, wanted, needed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- An empty bucket is full after `capacity` tokens, even if a slower plan emptied it.
local full_at = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), now + capacity * per_token)
local available = math.floor((now + capacity * per_token - full_at) / per_token)
local granted = math.min(wanted, available)
if granted < needed then
    return {0, math.max(0, available), math.ceil(full_at + needed * per_token - now - capacity * per_token)}
end
full_at = full_at + granted * per_token
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
return {granted, available - granted, 0}
