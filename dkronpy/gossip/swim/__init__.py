"""SWIM with Lifeguard, as memberlist does it: who is alive. Pure; the clock, dice and network are a Context.

SWIM: Das, Gupta, Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol",
DSN 2002. Lifeguard: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure Detection",
DSN-W 2018.
"""
