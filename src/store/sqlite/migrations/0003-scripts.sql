-- A webhook's own script. A delivery that a condition did not want ends in state 9, filtered.

ALTER TABLE webhook ADD COLUMN script TEXT; -- Lua; NULL: none
