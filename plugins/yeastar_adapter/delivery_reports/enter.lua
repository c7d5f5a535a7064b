-- Count a delivery report, if it has not been counted: in one step, so that of two nodes that get it at once one does.
--
-- KEYS: 1 the order (or a step of it), 2 reports, 3 seconds, 4 orders that wait, of the ten minutes of this one's hand-over
-- ARGV: 1 how long to remember the order, in seconds; 2 field of reports; 3 field of seconds, or ""; 4 milliseconds;
--       5 field of their sum; 6 field of the orders that wait, or ""; 7 how long these are kept, in seconds
-- Answers 1: counted now; 0: it was counted before.
if not redis.call("SET", KEYS[1], "", "NX", "EX", ARGV[1]) then
  return 0
end
redis.call("HINCRBY", KEYS[2], ARGV[2], 1)
if ARGV[3] ~= "" then
  redis.call("HINCRBY", KEYS[3], ARGV[3], 1)
  redis.call("HINCRBY", KEYS[3], ARGV[5], ARGV[4])
end
if ARGV[6] ~= "" then
  redis.call("HINCRBY", KEYS[4], ARGV[6], -1)
  redis.call("EXPIRE", KEYS[4], ARGV[7])
end
return 1
