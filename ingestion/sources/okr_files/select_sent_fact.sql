select content, revision
from sent_fact
where fact = :fact;
