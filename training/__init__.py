"""The loop: corrections become an adapter. Only the trainers import torch, trl and peft."""
